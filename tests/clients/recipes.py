"""What builds and ships: the container's recipe, the archive of a release, the workflows.

In: the tools, the build under test. Out: passed checks. No image is built and no workflow runs: base images and
runners cannot be had here. Instead each is read by a parser, what a build would see is compiled, and the container's
command, health check and stop run as its user in a root directory that holds what its base image promises.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from fnmatch import fnmatch
from pathlib import Path

from processes import STOP_SECONDS_MAX, clean_env, digest, end, must, note, passed, require, run, start, temp_dir
from wheel import COMPILE_SECONDS_MAX, version_of

DOCKERFILE_PARSE = ["dockerfile-parse==2.0.1"]
YAMLLINT = ["yamllint==1.38.0"]
SCHEMAS = ["check-jsonschema==0.39.0"]
ZIZMOR = ["zizmor==1.32.0"]
# What the base image cc-debian12 of distroless holds, of what a Rust program may want.
BASE_LIBRARIES = r"linux-vdso\.so\.1|lib(c|m|gcc_s|dl|pthread|rt)\.so\.\d+|ld-linux-[\w-]+\.so\.\d"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
READY_SECONDS_MAX = 20


def recipes(tools, build):
    repository = build.repository
    workflows(tools, repository)
    steps = container_reads(tools, repository)
    container_builds(tools, build, steps)
    container_runs(build.binary, steps)
    archive(tools, build)


def workflows(tools, repository):
    env = clean_env(temp_dir("workflows"))
    place = repository / ".github/workflows"
    files = sorted(place.glob("*.yml"))
    require({"ci.yml", "release.yml"} <= {file.name for file in files}, "there are the workflows {}".format(files))
    must([tools.program("yamllint", YAMLLINT), "--strict", repository / ".github", repository / "deploy"], env,
         cwd=repository)
    must([tools.program("check-jsonschema", SCHEMAS), "--builtin-schema", "vendor.github-workflows", *files], env)
    must([tools.program("zizmor", ZIZMOR), "--offline", "--no-progress", "--config", repository / ".github/zizmor.yml",
          place], env)
    text = {file.name: file.read_text() for file in files}
    for name, lines in text.items():
        require(re.search(r"^permissions: \{\}$", lines, re.MULTILINE), name + " starts with permissions")
        for action in re.findall(r"uses: (\S+)", lines):
            require(re.search(r"@v\d+\.\d+\.\d+$", action), "{} uses {}, which is no release".format(name, action))
    for part in re.findall(r"part: (\w+)", text["ci.yml"]):
        require('"$part" = {} ]'.format(part) in (repository / "tests/run").read_text(), "tests/run has no part " + part)
    for target in ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin"):
        built, tried = text["release.yml"].split("\n  try:\n")
        require(target in built and target in tried, "no release is built and tried for " + target)
    # One version of Rust everywhere.
    rust = re.search(r'^rust-version = "([^"]+)"', (repository / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    container = (repository / "deploy/container/Containerfile").read_text()
    for name, lines in dict(text, Containerfile=container).items():
        named = set(re.findall(r'toolchain install (\S+)|rust-toolchain: "(\S+)"|FROM rust:([\d.]+)', lines))
        named = {version for versions in named for version in versions if version}
        require(named == {rust}, "{} takes Rust {}, Cargo.toml {}".format(name, named, rust))
    passed("the workflows are sound by schema and by zizmor, ask for the least, and build and try every system")


def container_reads(tools, repository):
    """The recipe's steps, by a parser."""
    code = ("import json, sys; from dockerfile_parse import DockerfileParser\n"
            "print(json.dumps(DockerfileParser(fileobj=open(sys.argv[1], 'rb')).structure))")
    path = repository / "deploy/container/Containerfile"
    told = must([tools.program("python", DOCKERFILE_PARSE), "-c", code, path], clean_env(temp_dir("container")))
    steps = [(step["instruction"], step["value"]) for step in json.loads(told.text) if step["instruction"] != "COMMENT"]
    stages = [value for instruction, value in steps if instruction == "FROM"]
    require(len(stages) == 2 and stages[0].endswith(" AS build"), "the stages are {}".format(stages))
    last = dict(steps[max(i for i, (instruction, _) in enumerate(steps) if instruction == "FROM"):])
    require(re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"]), "it runs as " + last["USER"])
    for instruction, value in (("VOLUME", "/var/lib/sidewheel"), ("EXPOSE", "3141"), ("STOPSIGNAL", "SIGTERM")):
        require(last[instruction] == value, "{} is {}".format(instruction, last.get(instruction)))
    require("SIDEWHEEL_DATA=" + last["VOLUME"] in last["ENV"], "the data is not kept in the volume")
    require("RUN" not in last, "the last stage runs something, and its base has no shell")
    require(json.loads(last["ENTRYPOINT"]) == ["/usr/local/bin/sidewheel"] and json.loads(last["CMD"]) == ["serve"],
            "it starts {} {}".format(last["ENTRYPOINT"], last["CMD"]))
    require("PASSWORD" not in path.read_text().replace("root-password-file", ""), "a password stands in the recipe")
    ours = (repository / ".containerignore").read_text().splitlines()
    dockers = (repository / "deploy/container/Containerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ours if not line.startswith("#")]
    require(rules == [line for line in dockers if not line.startswith("#")], "Podman and Docker see different files")
    passed("the container's recipe: two stages, a user who is not root, a volume, a port, a health check, no shell")
    return steps


def visible(repository):
    """What the recipe's context holds, by .containerignore: the last rule that fits a file decides."""
    rules = [line for line in (repository / ".containerignore").read_text().splitlines() if line and line[0] != "#"]
    tracked = must(["git", "ls-files"], dict(os.environ), cwd=repository).text.splitlines()
    seen = []
    for name in tracked:
        hidden = False
        for rule in rules:
            pattern = rule.lstrip("!")
            if fnmatch(name, pattern) or name.startswith(pattern + "/"):
                hidden = not rule.startswith("!")
        if not hidden:
            seen.append(name)
    return seen


def container_builds(tools, build, steps):
    """The first stage's COPY steps in a clean directory, and its compilation, checked only."""
    repository = build.repository
    seen = visible(repository)
    strange = [name for name in seen if not re.match(r"(src|bench|tests/it)/|Cargo\.|LICENSE", name)]
    require(not strange and "src/main.rs" in seen, "a build would see {}".format(strange or seen))
    place = tools.directory / "container"
    shutil.rmtree(place, ignore_errors=True)
    (place / "src").mkdir(parents=True)
    stage, workdir = 0, place
    for instruction, value in steps:
        if instruction == "FROM":
            stage += 1
        if instruction == "WORKDIR":
            workdir = place / value.lstrip("/")
        if instruction != "COPY" or "--from=" in value:
            continue
        require(stage == 1, "the last stage copies {} from outside".format(value))
        *sources, target = value.split()
        for source in sources:
            found = [name for name in seen if name == source or name.startswith(source + "/")]
            require(found, "COPY {}: a build does not see it".format(source))
            for name in found:
                into = place / target.lstrip("/") if target.startswith("/") else workdir / target
                inside = os.path.relpath(name, source) if name != source else Path(name).name
                file = into / inside
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(repository / name, file)
    builds = [value for instruction, value in steps if instruction == "RUN" and "cargo build" in value]
    require(len(builds) == 1 and "--release --locked --bin sidewheel" in builds[0], "it is built by {}".format(builds))
    must(["cargo", "check", "--locked", "--quiet", "--bin", "sidewheel"], build.cargo_env(), cwd=place / "src",
         seconds=COMPILE_SECONDS_MAX)
    shutil.rmtree(place)
    passed("what the container's build sees is the sources alone, and enough to compile")


def container_runs(binary, steps):
    """As in the container: its environment, its user, in a root that holds the binary, its libraries and certificates alone."""
    if sys.platform != "linux" or os.geteuid() != 0:
        note("only root on Linux can change the root directory: the container's command was not run")
        return
    root = Path(temp_dir("root"))
    root.chmod(0o755)
    last = dict(steps[max(i for i, (instruction, _) in enumerate(steps) if instruction == "FROM"):])
    libraries = re.findall(r"^\s*(\S+)(?: => (\S+))? \(", must(["ldd", binary], dict(os.environ)).text, re.MULTILINE)
    for name, path in libraries:
        require(re.fullmatch(BASE_LIBRARIES, Path(name).name), "the base image has no " + name)
        place = Path(path or name)
        if place.is_absolute():
            target = root / str(place).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, target)
    certificates = root / CERTIFICATES.lstrip("/")
    certificates.parent.mkdir(parents=True)
    shutil.copy(CERTIFICATES, certificates)
    program = root / "usr/local/bin/sidewheel"
    program.parent.mkdir(parents=True)
    shutil.copy(binary, program)
    user, group = map(int, last["USER"].split(":"))
    data = root / last["VOLUME"].lstrip("/")
    for place in (data, root / "tmp", root / "home"):
        place.mkdir(parents=True)
        os.chown(place, user, group)
    env = dict(word.split("=", 1) for word in shlex.split(last["ENV"]))
    require(env.pop("SIDEWHEEL_LISTEN") == "0.0.0.0:3141", "it listens where no other container reaches it")
    env["SIDEWHEEL_LISTEN"] = "127.0.0.1:0"

    def inside():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)

    command = json.loads(last["ENTRYPOINT"])
    init = subprocess.run(command + ["init", "--root-password-file", "-"], input="in a container\n", env=env,
                          preexec_fn=inside, capture_output=True, text=True, timeout=READY_SECONDS_MAX)
    require(init.returncode == 0 and not (data / "root-password").exists(), "init: " + init.stdout + init.stderr)
    log = Path(temp_dir("log")) / "log"
    with open(log, "wb") as out:
        server = start(command + json.loads(last["CMD"]), env=env, preexec_fn=inside, stdout=out, stderr=out)
    health = json.loads(last["HEALTHCHECK"].split(" CMD ")[1])
    until = time.monotonic() + READY_SECONDS_MAX
    while True:
        checked = subprocess.run(health, env=env, preexec_fn=inside, capture_output=True, text=True)
        if checked.returncode == 0:
            break
        require(time.monotonic() < until and server.poll() is None,
                "never healthy: {}{}{}".format(checked.stdout, checked.stderr, log.read_text()))
        time.sleep(0.1)
    require(str(server.pid) in checked.stdout and data.stat().st_uid == user, "another server is healthy")
    server.send_signal(signal.Signals[last["STOPSIGNAL"]])
    code = server.wait(STOP_SECONDS_MAX)
    end(server)
    require(code == 0, "after {} it ended with {}:\n{}".format(last["STOPSIGNAL"], code, log.read_text()))
    checked = subprocess.run(health, env=env, preexec_fn=inside, capture_output=True, text=True)
    require(checked.returncode != 0, "the health check does not see that the server is gone")
    passed("the container's command serves as its user in a root without a shell, is healthy, stops by its signal")


def archive(tools, build):
    repository, wheel = build.repository, build.wheel(tools)
    script = repository / "deploy/release/archive.py"
    made = []
    for _ in range(2):
        out = temp_dir("archive")
        made.append(Path(must([tools.python, script, wheel, out], clean_env(temp_dir("home"))).text.strip()))
    require(digest(made[0].read_bytes()) == digest(made[1].read_bytes()), "two archives of one wheel differ")
    name = made[0].name[:-len(".tar.gz")]
    require(name.startswith("sidewheel-{}-".format(version_of(repository))), "the archive is called " + made[0].name)
    place = Path(temp_dir("unpacked"))
    must(["tar", "xzf", made[0], "-C", place], dict(os.environ))
    require(digest((place / name / "sidewheel").read_bytes()) == digest(build.binary.read_bytes()), "it holds another binary")
    must([place / name / "sidewheel", "check", "--config", place / name / "sidewheel.example.toml"],
         clean_env(temp_dir("home")))
    with tarfile.open(made[0]) as tar:
        require(all(member.name.startswith(name + "/") and member.uid == 0 for member in tar), "it unpacks elsewhere")
    passed("the archive of a release is made of its wheel, always the same, and runs where it is unpacked")
