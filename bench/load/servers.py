"""The servers that every run has: nginx, as the rival and as the upstream, and Sidewheel."""

import pathlib
import re
import shutil
import subprocess
import threading
import time

import processes
from processes import Process

PAGE_CONTENT_TYPE = "application/vnd.pypi.simple.v1+json"
LUA_MODULES = pathlib.Path("/usr/lib/nginx/modules")
# A limited upstream sends in pieces this large, so that its rate is even and a file of 1 MB feels it too.
LIMITED_CHUNK = "512k"


class Nginx(Process):
    """One process, sendfile, open files remembered, no log unless asked."""

    name = "nginx"

    def __init__(self, directory, root, core=None, name=None, **settings):
        self.name = name or self.name
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        log = self.directory / "error.log"
        for attempt in range(5):
            # nginx cannot take port 0: a port that was free a moment ago, and another try if it no longer is.
            port = processes.free_port()
            conf = self.directory / "nginx.conf"
            conf.write_text(nginx_conf(self.directory, port, root, **settings))
            super().__init__([nginx(), "-p", directory, "-c", conf, "-e", log], core)
            self.url = f"http://127.0.0.1:{port}"
            try:
                self.until_answers(log=log)
                return
            except RuntimeError:
                if attempt == 4:
                    raise

    def page(self, project):
        return f"/simple/{project}/" if project else "/simple/"

    def log_size(self):
        path = self.directory / "access.log"
        return path.stat().st_size if path.exists() else 0

    def asked(self, path, since=0):
        """Requests of a path since the log had that size, and bytes of bodies sent for them."""
        with (self.directory / "access.log").open() as log:
            log.seek(since)
            found = [line.split() for line in log if line.split()[1:2] == [path]]
        return len(found), sum(int(words[3]) for words in found)


def nginx():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def can_wait():
    """Whether nginx's Lua module is there, which makes an upstream far away."""
    return (LUA_MODULES / "ngx_http_lua_module.so").exists()


def nginx_conf(directory, port, root, limit_rate=None, wait_ms=0, log=False, page_type=PAGE_CONTENT_TYPE, extra="", proxy=None):
    """`wait_ms`: before each answer; `extra`: lines for its server; `proxy`: the upstream that it caches, for root."""
    access = f"{directory}/access.log counted" if log else "off"
    limit = f"limit_rate {limit_rate}; sendfile_max_chunk {LIMITED_CHUNK};" if limit_rate else ""
    load = wait = ""
    if wait_ms:
        load = "".join(f"load_module {LUA_MODULES}/{name}.so;\n" for name in ("ndk_http_module", "ngx_http_lua_module"))
        wait = f"access_by_lua_block {{ ngx.sleep({wait_ms / 1000}) }}"
    cache = upstream = ""
    if proxy:
        cache = f"proxy_cache_path {directory}/cache levels=1:2 keys_zone=cache:32m max_size=20g inactive=24h use_temp_path=off;"
        upstream = f"upstream there {{ server {proxy.removeprefix('http://')}; keepalive 64; }}"
        extra += """
        location / {
            proxy_pass http://there;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Accept-Encoding "";
            proxy_cache cache;
            proxy_cache_valid 200 24h;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 120s;
            proxy_cache_lock_age 120s;
        }"""
    else:
        extra += f"""
        location /simple/ {{
            default_type {page_type};
            index index.json;
        }}"""
    return f"""{load}
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 4096; }}
http {{
    log_format counted '$request_method $uri $status $body_bytes_sent';
    access_log {access};
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 60;
    keepalive_requests 1000000000;
    open_file_cache max=8000 inactive=600s;
    open_file_cache_valid 600s;
    open_file_cache_min_uses 1;
    types {{ }}
    default_type application/octet-stream;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {cache}
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        {limit}
        {wait}
        {extra}
    }}
}}
"""


class Sidewheel(Process):
    """Ours. When it ends, `loads` learns its budget and its highest resident memory."""

    name = "Sidewheel"
    # (what it did, budget in MiB, highest resident in MiB), of every one that ran.
    loads = []

    def __init__(self, program, data, upstream, core=None, workers=None, memory="256MiB", name=None, load="?", disk="40GB"):
        self.name = name or self.name
        self.load, self.budget, self.highest = load, memory, 0
        data = pathlib.Path(data)
        self.data = data
        environment = {"RUST_LOG": "warn"}
        if workers:
            environment["TOKIO_WORKER_THREADS"] = str(workers)
        command = [str(program), "serve", "--listen", "127.0.0.1:0", "--data", str(data)]
        command += ["--upstream", f"{upstream}/simple/", "--file-origin", upstream, "--page-ttl", "1h"]
        command += ["--memory", memory, "--disk", disk, "--log-format", "json"]
        self.command = " ".join(command)
        data.parent.mkdir(parents=True, exist_ok=True)
        self.log = data.with_suffix(".log").open("ab")
        super().__init__(command, core, environment, stdout=subprocess.PIPE, stderr=self.log)
        for line in self.process.stdout:
            found = re.search(rb"http://127\.0\.0\.1:\d+", line)
            if found:
                self.url = found[0].decode()
                break
        if not self.url:
            self.stop()
            raise SystemExit(f"no address was printed by: {self.command}\n{self._last_lines()}")
        # Whatever else it prints must not fill the pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _last_lines(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")[-800:]

    def forget_peak(self):
        self.highest = max(self.highest, self.memory()[1])
        super().forget_peak()

    def stop(self):
        if self.process.poll() is None:
            self.loads.append((self.load, mebibytes(self.budget), max(self.highest, self.memory()[1])))
        super().stop()
        self.log.close()

    def page(self, project):
        return f"/root/pypi/+simple/{project}/" if project else "/root/pypi/+simple/"

    def answered(self, kind, tier):
        """How many answers of a kind came from a tier of the cache, by its own count."""
        text = processes.fetch(self.url + "/+metrics").decode()
        found = re.search(rf'answers_total{{kind="{kind}",tier="{tier}"}} (\d+)', text)
        return int(found[1]) if found else 0

    def heat(self, path, seconds=30):
        """Asks for a file until it is answered from memory."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = self.answered("file", "memory")
            processes.fetch(self.url + path)
            if self.answered("file", "memory") > before:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{path} is never answered from memory")


def mebibytes(size):
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", size).groups()
    return int(number) * {"MiB": 1, "GiB": 1024}[unit]
