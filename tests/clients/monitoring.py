"""What watches the server: the dashboard and the alert rules of `deploy`, with a real Prometheus.

In: the tools, the binary, the repository. Out: passed checks: every name in them is one that the server has, every
panel shows something, every alert fires and keeps quiet when it should. Grafana itself is not run: it is packaged
nowhere that this check could fetch it from.
"""

import json
import re
import shutil
import time
from pathlib import Path
from urllib.parse import quote

from fixture import Upstream
from processes import Sidewheel, clean_env, end, get, must, passed, require, run, start, temp_dir

# Two scrapes and what a rate needs, on a busy machine.
SHOWN_SECONDS_MAX = 60
PROMETHEUS_SECONDS_MAX = 30
# What Grafana puts in place of its variables.
VARIABLES = {"$job": "sidewheel", "$instance": ".*", "$__rate_interval": "10s", "$__range": "1m"}
# PyYAML comes with it; YAML is read by the interpreter of its environment.
YAMLLINT = ["yamllint==1.38.0"]
CLASSES = "src/upstream/error.rs"


def monitoring(tools, binary, repository):
    deploy = repository / "deploy"
    dashboard = json.loads((deploy / "grafana/sidewheel.json").read_text())
    rules = rules_of(tools, deploy / "prometheus/sidewheel.rules.yml")
    laid_out(dashboard)
    alerts(deploy / "prometheus", rules, tools)
    upstream = Upstream()
    server = Sidewheel(binary, Path(temp_dir("watched")) / "data", upstream)
    try:
        asked(server, upstream)
        named(server, repository, dashboard, rules)
        shown(server, upstream, deploy / "prometheus/prometheus.example.yml", dashboard)
    finally:
        upstream.close()
    server.stop()


def as_json(tools, path):
    python = tools.program("python", YAMLLINT)
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    return json.loads(must([python, "-c", code, path], clean_env(temp_dir("yaml"))).text)


def rules_of(tools, path):
    return [rule for group in as_json(tools, path)["groups"] for rule in group["rules"]]


def panels_of(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(dashboard):
    return [(panel["title"], target["expr"]) for panel in panels_of(dashboard) for target in panel["targets"]]


def laid_out(dashboard):
    """What Grafana would refuse or draw askew."""
    panels = dashboard["panels"]
    require(len({panel["id"] for panel in panels}) == len(panels), "two panels have one id")
    taken = {}
    for panel in panels:
        at = panel["gridPos"]
        require(at["x"] >= 0 and at["x"] + at["w"] <= 24, "{} is wider than the page".format(panel["title"]))
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            require(cell not in taken, "{} lies over {}".format(panel["title"], taken.get(cell)))
            taken[cell] = panel["title"]
    known = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval", "__range", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    require(used <= known, "variables that nobody defines: {}".format(used - known))
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            require(target["datasource"]["uid"] == "${datasource}", panel["title"] + " is bound to one data source")
    passed("the dashboard's panels lie side by side and use its own variables only")


def alerts(place, rules, tools):
    env = clean_env(temp_dir("promtool"))
    must(["promtool", "check", "rules", place / "sidewheel.rules.yml"], env)
    must(["promtool", "check", "config", place / "prometheus.example.yml"], env)
    tests = "sidewheel.rules.test.yml"
    must(["promtool", "test", "rules", place / tests], env, cwd=place)
    # That the tests can fail: an alert that never fires, and one that always does, are both found.
    for rule in rules:
        for broken in ("vector(0) > 1", "vector(1)"):
            other = Path(temp_dir("rules"))
            shutil.copy(place / tests, other)
            changed = [dict(each, expr=broken) if each is rule else each for each in rules]
            # JSON is YAML too.
            (other / "sidewheel.rules.yml").write_text(json.dumps({"groups": [{"name": "sidewheel", "rules": changed}]}))
            ran = run(["promtool", "test", "rules", other / tests], env, cwd=other)
            require(ran.code != 0, "{} could be `{}`, and no test of the rules would say so".format(rule["alert"], broken))
    for rule in rules:
        require(rule["labels"].get("severity") in ("info", "warning", "critical"), rule["alert"] + " has no severity")
    passed("{} alerts: each fires in its test and keeps quiet in another; an alert that does not is found".format(len(rules)))


def asked(server, upstream):
    """A little of everything: answers of several kinds and tiers, a failure of upstream."""
    for _ in range(2):
        page = json.loads(server.page("alpha").body)
        get(server.index + "alpha/" + page["files"][0]["url"])
        get(server.index + "no-such-project/")
    upstream.switch_off()
    get(server.index + "beta/")
    upstream.switch_on()


def metrics_of(server):
    """Every metric with the values of each of its labels."""
    found = {}
    for line in get(server.base + "/+metrics").body.decode().splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? ", line)
        if match and not line.startswith("#"):
            labels = found.setdefault(match.group(1), {})
            for label, value in re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""):
                labels.setdefault(label, set()).add(value)
    return found


# Prometheus itself gives these to every series.
GIVEN = {"job", "instance"}


def named(server, repository, dashboard, rules):
    metrics = metrics_of(server)
    classes = set(re.findall(r'=> "(\w+)"', (repository / CLASSES).read_text()))
    require({"missing", "status_4xx", "busy"} <= classes, "the classes of errors are not found in " + CLASSES)
    variables = [variable.get("definition", "") for variable in dashboard["templating"]["list"]]
    queries = queries_of(dashboard) + [(rule["alert"], rule["expr"]) for rule in rules]
    seen = set()
    for title, text in queries + [("a variable", text) for text in variables]:
        for name, selectors in re.findall(r"\b((?:sidewheel_\w+|up))\b(?:\{([^}]*)\})?", text):
            seen.add(name)
            require(name == "up" or name in metrics, "{} asks for {}, which the server has not".format(title, name))
            for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', selectors):
                require(label in GIVEN or label in metrics[name],
                        "{} asks for the label {} of {}, which has none".format(title, label, name))
                # Which statuses there may be is no list of ours.
                if label in GIVEN or label == "status":
                    continue
                values = classes if label == "class" else metrics[name][label]
                for one in value.split("|"):
                    require(one in values, '{} asks for {}="{}" of {}, which never is'.format(title, label, one, name))
        for label in re.findall(r"by \(([^)]*)\)", text):
            for one in label.split(","):
                known = GIVEN | {label for labels in metrics.values() for label in labels}
                require(one.strip() in known, "{} sorts by {}, which no metric has".format(title, one))
    unseen = set(metrics) - seen
    require(not unseen, "the dashboard shows nothing of {}".format(sorted(unseen)))
    drawn = " ".join(text for _, text in queries)
    events = {event for event in metrics["sidewheel_events_total"]["event"] if event not in drawn}
    require(not events, "no panel and no alert looks at the events {}".format(sorted(events)))
    passed("every metric, label and value in the dashboard and the alerts is one that the server has, and none is left out")


class Prometheus:
    """A real one that reads the server's metrics each second, on a port of the system's choice."""

    def __init__(self, example, target):
        place = Path(temp_dir("prometheus"))
        text, times = re.subn(r"127\.0\.0\.1:3141", target, example.read_text())
        require(times == 1, "{} names its target {} times".format(example.name, times))
        text, times = re.subn(r"_interval: 15s", "_interval: 1s", text)
        require(times == 2, "{} names {} intervals".format(example.name, times))
        shutil.copy(example.parent / "sidewheel.rules.yml", place)
        (place / "prometheus.yml").write_text(text)
        self.log_path = place / "log"
        with open(self.log_path, "wb") as log:
            self.process = start(
                ["prometheus", "--config.file", str(place / "prometheus.yml"), "--storage.tsdb.path", str(place / "db"),
                 "--web.listen-address", "127.0.0.1:0"], stdout=log, stderr=log, env=clean_env(place))
        until = time.monotonic() + PROMETHEUS_SECONDS_MAX
        while True:
            found = re.search(r"[Ll]istening on.{0,40}?127\.0\.0\.1:([1-9]\d*)", self.log_path.read_text())
            if found:
                break
            require(time.monotonic() < until and self.process.poll() is None,
                    "Prometheus does not start:\n" + self.log_path.read_text()[-2000:])
            time.sleep(0.1)
        self.base = "http://127.0.0.1:" + found.group(1)

    def ask(self, query):
        answer = get(self.base + "/api/v1/query?query=" + quote(query))
        if answer.status == 503:
            return []  # still starting
        told = json.loads(answer.body)
        require(told["status"] == "success", "Prometheus does not take `{}`: {}".format(query, told.get("error")))
        return told["data"]["result"]


def shown(server, upstream, example, dashboard):
    prometheus = Prometheus(example, server.base[len("http://"):])
    queries = queries_of(dashboard)
    until = time.monotonic() + SHOWN_SECONDS_MAX
    empty = queries
    while empty:
        require(time.monotonic() < until, "after {} s there is nothing in: {}".format(
            SHOWN_SECONDS_MAX, ", ".join("{} ({})".format(title, text) for title, text in empty)))
        asked(server, upstream)
        time.sleep(0.5)
        empty = [(title, text) for title, text in empty if not shows(prometheus.ask(filled(text)))]
    for title, text in queries:
        legend = set(re.findall(r"\{\{(\w+)\}\}", legend_of(dashboard, text)))
        for series in prometheus.ask(filled(text)):
            require(legend <= set(series["metric"]), "{} is labelled by {}, which its series lack".format(title, legend))
    loaded = json.loads(get(prometheus.base + "/api/v1/rules").body)["data"]["groups"]
    broken = [rule["name"] for group in loaded for rule in group["rules"] if rule["health"] == "err"]
    require(loaded and not broken, "alerts that cannot be evaluated: {}".format(broken))
    end(prometheus.process)
    passed("Prometheus reads a running server by the example, and {} panels all show something".format(len(panels_of(dashboard))))


def shows(result):
    return any(series["value"][1] != "NaN" for series in result)


def filled(text):
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    return text


def legend_of(dashboard, text):
    return next(target["legendFormat"] for panel in panels_of(dashboard) for target in panel["targets"]
                if target["expr"] == text)
