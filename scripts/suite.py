#!/usr/bin/python3
"""Runs the stages of ./test and adds up what passed and failed. See ./test --help."""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test-logs"
JOBS = str(os.cpu_count() or 2)
FUZZ_SECONDS = int(os.environ.get("WEIR_FUZZ_SECONDS", "15"))


@dataclasses.dataclass
class Case:
    name: str
    passed: bool
    output: str = ""


def run(log_name, command, timeout_s, env=None):
    """Runs `command` into a log file; returns (exit status, what it printed)."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{log_name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, start_new_session=True)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            out.write(f"\nstopped: not finished after {timeout_s} s\n".encode())
            status = 124
        finally:
            # What the stage started belongs to its own session and ends with it.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    return status, log.read_text(errors="replace")


def check(name, command, timeout_s, env=None):
    """One command that is one case."""
    status, output = run(name.replace(" ", "-").replace("/", "-"), command, timeout_s, env)
    return Case(name, status == 0, "" if status == 0 else output)


def build(preset, *targets):
    return check(f"build {preset}", ["scripts/build", preset, *targets], 3000)


def junit_cases(path, stage):
    cases = []
    for test in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        # A test that CMake could not even find counts as failed, one that skips itself as passed.
        passed = test.get("status") == "run" or test.find("skipped") is not None
        if test.find("failure") is not None or test.get("status") in ("fail", "notrun"):
            passed = test.find("skipped") is not None and test.get("status") != "fail"
        output = "".join(out.text or "" for out in test.iter("system-out"))
        cases.append(Case(f"{stage}: {test.get('name')}", passed, "" if passed else output))
    return cases


def ctest(preset, stage, env=None, timeout_s=1200):
    """The unit tests of one preset, each a case."""
    report = LOGS / f"{stage}.xml"
    LOGS.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    status, output = run(stage, [
        "ctest", "--test-dir", BUILD / preset, "--parallel", JOBS, "--output-on-failure",
        "--output-junit", report, "--no-tests=error"], timeout_s, env)
    cases = junit_cases(report, stage) if report.exists() else []
    if status != 0 and all(case.passed for case in cases):
        cases.append(Case(f"{stage}: ctest", False, output))
    return cases


def counted(stage, command, timeout_s, env=None):
    """A test program of ours that writes its cases to the file in WEIR_TEST_REPORT."""
    LOGS.mkdir(parents=True, exist_ok=True)
    report = LOGS / f"{stage}.json"
    report.unlink(missing_ok=True)
    status, output = run(stage, command, timeout_s, {**(env or {}), "WEIR_TEST_REPORT": str(report)})
    cases = []
    if report.exists():
        cases = [Case(f"{stage}: {case['name']}", case["passed"], case["output"])
                 for case in json.loads(report.read_text())]
    if status != 0 and all(case.passed for case in cases):
        cases.append(Case(f"{stage}: {command[0]}", False, output))
    return cases


def our_sources():
    return sorted(str(path.relative_to(ROOT)) for folder in ("src", "tests", "bench")
                  for ending in ("*.cc", "*.h") for path in (ROOT / folder).rglob(ending))


# ---------------------------------------------------------------- the suite


def stage_build():
    return [build("release")]


def stage_unit():
    return ctest("release", "unit")


def stage_tidy():
    return counted("tidy", ["tests/tidy/run"], 120)


def stage_e2e():
    return counted("e2e", ["tests/e2e/run"], 1200)


# ---------------------------------------------------------------- the rest of --all


def sanitizer_env():
    return {
        "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
    }


def sanitized(preset):
    built = build(preset)
    return [built, *(ctest(preset, f"unit-{preset}", sanitizer_env()) if built.passed else [])]


# Where threads meet under load; the other files run in the suite and under AddressSanitizer.
BUSY_WITH_THREADS = ("connector", "dashboard", "exports", "exports_control", "greengrass", "life",
                     "operations", "reload", "wire")


def sanitized_e2e(preset, modules=()):
    built = build(preset)
    if not built.passed:
        return [built]
    env = {**sanitizer_env(), "WEIR_BINARY": str(BUILD / preset / "weir")}
    command = ["tests/e2e/run", *modules, "--sanitized"]
    return [built, *counted(f"e2e-{preset}", command, 1800, env)]


def stage_asan():
    """The second compiler with the address and undefined-behaviour sanitizers; the fuzzers come
    out of the same build."""
    return sanitized("fuzz")


def stage_tsan():
    return sanitized("tsan")


def stage_asan_e2e():
    return sanitized_e2e("fuzz")


def stage_tsan_e2e():
    return sanitized_e2e("tsan", BUSY_WITH_THREADS)


def stage_format():
    return [check("clang-format", ["clang-format", "--dry-run", "--Werror", *our_sources()], 120)]


def stage_hardening():
    return [check("hardening of the release binary", ["scripts/check-hardening", "build/release/weir"], 60)]


def stage_packages():
    """The Debian package of the program that the suite has built, and the Dockerfile."""
    return counted("packages", ["tests/packages/run"], 900)


def stage_static():
    return counted("static", ["tests/packages/foreign", "static"], 1200)


def stage_cross():
    """Weir is compiled once more for each: the longest of all stages, so .ci/run leaves it out."""
    return [case for arch in ("arm64", "armhf")
            for case in counted(f"cross-{arch}", ["tests/packages/foreign", arch], 3600)]


def clang_tidy(stage, checks):
    """One case a file of src/, by the path that begins each finding."""
    if not (BUILD / "fuzz" / "compile_commands.json").exists():
        configured = check("configure clang", ["cmake", "--preset", "fuzz"], 120)
        if not configured.passed:
            return [configured]
    sources = [path for path in our_sources() if path.startswith("src/") and path.endswith(".cc")
               and not path.endswith("_test.cc")]
    status, output = run(stage, [
        "run-clang-tidy", "-quiet", "-j", JOBS, "-p", "build/fuzz", f"-checks={checks}",
        *(f"{re.escape(str(ROOT / path))}$" for path in sources)], 3000)
    # Debian's run-clang-tidy asks for colours.
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    cases = []
    for path in sources:
        folder = re.escape(str(ROOT / path))
        found = re.findall(rf"^{folder}:.*(?:error|warning): .*$", output, re.MULTILINE)
        cases.append(Case(f"{stage}: {path}", not found, "\n".join(found)))
    if status != 0 and all(case.passed for case in cases):
        cases.append(Case(stage, False, output))
    return cases


def stage_lint():
    return clang_tidy("clang-tidy", "-clang-analyzer-*")


def stage_analyze():
    """The checks that follow every path through a function: three quarters of clang-tidy's time."""
    return clang_tidy("clang-analyzer", "-*,clang-analyzer-*")


def stage_cppcheck():
    return [check("cppcheck", [
        "cppcheck", "--quiet", "--std=c++20", "--inline-suppr", "--error-exitcode=1", "-j", JOBS,
        "--enable=warning,portability", "--suppress=internalAstError", "--suppress=syntaxError",
        "--suppress=unknownMacro", "-I", "src", "-D__SSE4_2__", "src"], 900)]


def stage_fuzz():
    """Each fuzzer for a bounded time from its committed corpus; anything it finds is a failure."""
    built = build("fuzz", "fuzzers")
    if not built.passed:
        return [built]
    cases = [built]
    waiting = sorted(path for path in (BUILD / "fuzz" / "tests").rglob("*_fuzz")
                     if path.is_file() and os.access(path, os.X_OK))
    if not waiting:
        return [*cases, Case("fuzz", False, "no fuzzers were built in build/fuzz/tests")]
    running = []
    while waiting or running:
        while waiting and len(running) < int(JOBS):
            fuzzer = waiting.pop(0)
            found = LOGS / "fuzz" / fuzzer.name
            shutil.rmtree(found, ignore_errors=True)
            (found / "new").mkdir(parents=True)
            corpus = ROOT / "tests" / "fuzz" / "corpus" / fuzzer.name.removesuffix("_fuzz")
            log = (found / "log").open("wb")
            command = [fuzzer, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10",
                       "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-print_final_stats=1",
                       f"-artifact_prefix={found}/", found / "new"]
            command += [corpus] if corpus.is_dir() else []
            running.append((fuzzer, found, log, subprocess.Popen(
                [str(part) for part in command], cwd=ROOT, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)))
        fuzzer, found, log, process = running.pop(0)
        try:
            status = process.wait(FUZZ_SECONDS + 120)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        log.close()
        text = (found / "log").read_text(errors="replace")
        cases.append(Case(f"fuzz: {fuzzer.name}, {FUZZ_SECONDS} s", status == 0,
                          "" if status == 0 else f"input kept in {found}\n{text}"))
    return cases


def stage_campaigns():
    """The long random ones: kills of the real process, and more seeds than ./test takes.

    The seeds are the same in every run, so that a gate that passed passes again; SEED=n takes
    others, and whoever changes the store or the exporter takes many.
    """
    seed = os.environ.get("SEED", "1000000")
    cases = counted("crash", ["tests/crash/run.sh"], 1500, {"SEED": seed})
    cases.append(check(
        f"campaign: the model of a store, seeds from {seed}",
        [BUILD / "release" / "stream_test", "--gtest_filter=*Model*"], 900,
        {"WEIR_MODEL_SEED": seed, "WEIR_MODEL_SEEDS": "10000"}))
    cases.append(check(
        f"campaign: the simulation, seeds from {seed}",
        [BUILD / "release" / "tests" / "sim" / "sim", "--seed", seed, "--count", "5000"], 900))
    return cases


SUITE = {
    "build": stage_build,
    "unit": stage_unit,
    "tidy": stage_tidy,
    "e2e": stage_e2e,
}
REST = {
    "format": stage_format,
    "hardening": stage_hardening,
    "packages": stage_packages,
    "static": stage_static,
    "asan": stage_asan,
    "tsan": stage_tsan,
    "asan-e2e": stage_asan_e2e,
    "tsan-e2e": stage_tsan_e2e,
    "lint": stage_lint,
    "cppcheck": stage_cppcheck,
    "fuzz": stage_fuzz,
    "campaigns": stage_campaigns,
    "analyze": stage_analyze,
    "cross": stage_cross,
}
# They wait for processes, networks and disks, so others run beside them. No promise of theirs
# depends on speed.
MOSTLY_WAIT = ("asan-e2e", "tsan-e2e")
BESIDE = ("campaigns", "lint")


def tail(text, lines=60):
    kept = text.rstrip().splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in kept)


def schedule(names):
    """Groups of stages, one after the other; the lanes of a group run side by side."""
    lanes = [[name for name in names if name in lane] for lane in (MOSTLY_WAIT, BESIDE)]
    if not all(lanes):
        return [[[name]] for name in names]
    alone = [name for name in names if name not in MOSTLY_WAIT + BESIDE]
    return [*([[name]] for name in alone), lanes]


def run_stage(name):
    print(f"== {name}", flush=True)
    began = time.monotonic()
    try:
        found = {**SUITE, **REST}[name]()
    except Exception as error:  # a broken stage is a failure, not the end of the run
        found = [Case(f"{name}: the stage itself", False, f"{type(error).__name__}: {error}")]
    failed = [case for case in found if not case.passed]
    report = [f"   FAILED {case.name}\n{tail(case.output)}" for case in failed]
    report.append(f"   {name}: {len(found) - len(failed)} passed, {len(failed)} failed, "
                  f"{time.monotonic() - began:.0f} s")
    print("\n".join(report), flush=True)
    return found


def run_stages(names):
    cases = []
    for lanes in schedule(names):
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            for found in pool.map(lambda lane: [run_stage(name) for name in lane], lanes):
                cases += [case for stage in found for case in stage]
        if lanes == [["build"]] and not all(case.passed for case in cases):
            break
    return cases


def finish(cases):
    failing = [case.name for case in cases if not case.passed]
    if failing:
        print("\nFailed:")
        for name in failing:
            print(f"  {name}")
    print(f"{len(cases) - len(failing)} passed, {len(failing)} failed")
    return 1 if failing or not cases else 0


def main():
    parser = argparse.ArgumentParser(
        prog="./test", description="Builds what it needs and runs the tests.",
        epilog="stages of the suite: " + " ".join(SUITE) + "; of the rest: " + " ".join(REST))
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="run only these stages")
    parser.add_argument("--all", action="store_true", help="the suite, then the rest")
    parser.add_argument("--rest", action="store_true", help="only what --all adds")
    parser.add_argument("--without", metavar="STAGE", action="append", default=[],
                        help="leave this stage out")
    parser.add_argument("--list", action="store_true", help="name the stages")
    parser.add_argument("--record", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--sum", nargs="+", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.sum:
        cases = []
        for path in map(pathlib.Path, options.sum):
            if path.exists():
                cases += [Case(case["name"], case["passed"]) for case in json.loads(path.read_text())]
            else:
                cases.append(Case(f"{path.name}: the run did not finish", False))
        return finish(cases)
    if options.list:
        print("suite:", *SUITE, "\nrest: ", *REST)
        return 0
    for name in options.stages + options.without:
        if name not in SUITE and name not in REST:
            parser.error(f"there is no stage '{name}'; there are {' '.join([*SUITE, *REST])}")

    names = options.stages or [*([] if options.rest else SUITE),
                               *(REST if options.all or options.rest else [])]
    names = [name for name in names if name not in options.without]
    record = pathlib.Path(options.record) if options.record else None
    if record:
        record.unlink(missing_ok=True)
    parts = ["build", "test"] + (["check"] if any(name in REST for name in names) else [])
    parts += ["package"] if {"packages", "static", "cross"} & set(names) else []
    parts += ["cross"] if "cross" in names else []
    if subprocess.run(["scripts/install-packages", *parts], cwd=ROOT).returncode != 0:
        return finish([Case("packages", False)])
    cases = run_stages(names)
    if record:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps([{"name": c.name, "passed": c.passed} for c in cases]))
    return finish(cases)


if __name__ == "__main__":
    sys.exit(main())
