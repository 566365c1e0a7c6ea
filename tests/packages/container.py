"""A clean Debian, made by debootstrap and booted with systemd as its first process."""

import os
import pathlib
import shutil
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CACHE = BUILD / "package-root.tar"
DEADLINE_S = 120.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Failed(AssertionError):
    pass


def run(command, *, check=True, timeout=DEADLINE_S, input=None, env=None, cwd=None):
    """Runs a command outside; returns it finished, with text output of both kinds together."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout, input=input,
                          stdin=subprocess.DEVNULL if input is None else None, env=env, cwd=cwd)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-6000:]}")
    return done


def eventually(what, check, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f"did not happen within {deadline_s} s: {what}")
        pause.wait(0.05)


def sources():
    lines = run([ROOT / "scripts" / "apt-sources"]).stdout.splitlines()
    codename = next(line.split("=", 1)[1] for line in
                    pathlib.Path("/etc/os-release").read_text().splitlines()
                    if line.startswith("VERSION_CODENAME="))
    mirror = next(line.split()[-3] for line in lines if line.split()[-2] == codename)
    return codename, mirror, lines


def make_root(where):
    """A fresh minimal Debian; the first one is kept as a tar for those after it."""
    if not CACHE.exists():
        fresh = BUILD / "package-root.new"
        shutil.rmtree(fresh, ignore_errors=True)
        codename, mirror, lines = sources()
        run(["debootstrap", "--variant=minbase", "--include=systemd,ca-certificates", codename, fresh,
             mirror], timeout=900)
        (fresh / "etc/apt/sources.list").write_text(
            "".join(line.replace("[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ", "")
                    + "\n" for line in lines))
        in_chroot(fresh, ["apt-get", "update", "-q"], timeout=300)
        shutil.rmtree(fresh / "var/cache/apt/archives", ignore_errors=True)
        part = CACHE.with_suffix(".part")
        run(["tar", "--one-file-system", "-C", fresh, "-cf", part, "."], timeout=300)
        shutil.rmtree(fresh)
        part.rename(CACHE)
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    run(["tar", "-C", where, "-xpf", CACHE], timeout=300)
    # As the machine resolves names, for apt.
    (where / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", where / "etc/resolv.conf")


def in_chroot(root, command, **options):
    """In a root whose systemd does not run; its /proc goes away with the command."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    env = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root",
           **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}}
    return run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, root, *command],
               env=env, **options)


class CannotBoot(Exception):
    """This machine does not let systemd-nspawn start a first process."""


class Container:
    """The root, booted. It has a loopback network of its own, so that ports are free."""

    def __init__(self, root):
        self.root = root
        self.console = (root.parent / "console.log").open("wb")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
             "--resolv-conf=off", "--timezone=off", "-D", str(root), "--boot", "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)
        try:
            try:
                self.leader = eventually("the container has a first process", self.first_process, 30)
            except Failed as failed:
                self.stop()
                log = (root.parent / "console.log").read_text(errors="replace")
                raise CannotBoot(f"{failed}: {log[-500:].strip()}") from failed
            eventually("systemd is up", self.is_up, 60)
        except Failed as failed:
            log = (root.parent / "console.log").read_text(errors="replace")
            self.stop()
            raise Failed(f"{failed}\n{log[-3000:]}") from failed

    def first_process(self):
        """The first process inside is the one child of systemd-nspawn."""
        if self.process.poll() is not None:
            raise Failed(f"systemd-nspawn ended with status {self.process.returncode}")
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                after_name = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                name = (entry / "comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(after_name[1]) == self.process.pid and name == "systemd":
                return entry.name
        return None

    def is_up(self):
        state = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
        return state in ("running", "degraded")

    def run(self, command, **options):
        return run(["nsenter", "-a", "-t", self.leader, "--wdns=/", "--", "/usr/bin/env", "-i",
                    f"PATH={PATH}", "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
                    *command], **options)

    def journal(self, unit="weir"):
        return self.run(["journalctl", "--no-pager", "-o", "cat", "-u", unit], check=False).stdout

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()  # and with it goes the container
                self.process.wait(20)
        self.console.close()
