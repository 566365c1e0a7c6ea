"""Starts a component from its recipe as the nuclei do: picks the manifest, fills in the variables, runs the script."""

import json
import os
import pathlib
import platform
import re
import subprocess

from weir_server import BINARY, ROOT

PLATFORM = {"x86_64": "amd64", "aarch64": "aarch64", "armv7l": "armv7"}.get(platform.machine())
ARCHITECTURE = {"amd64": "amd64", "aarch64": "aarch64", "armv7": "arm"}.get(PLATFORM)


def built(out, *arguments):
    """Builds the component for this machine; returns (recipe, directory of its artifacts)."""
    subprocess.run([ROOT / "packaging" / "greengrass" / "build", "--binary", f"{PLATFORM}={BINARY}", "--out", out,
                    *arguments], check=True, capture_output=True, text=True)
    recipe = json.loads(next((pathlib.Path(out) / "recipes").iterdir()).read_text())
    return recipe, pathlib.Path(out) / "artifacts" / recipe["ComponentName"] / recipe["ComponentVersion"]


def manifest_of(recipe, lite):
    """The first one that fits. Nucleus lite takes none without `runtime`, the classic one none for another."""
    for manifest in recipe["Manifests"]:
        where = manifest["Platform"]
        runtime = where.get("runtime")
        if where["os"] == "linux" and where["architecture"] == ARCHITECTURE and (
                runtime in ("*", "aws_nucleus_lite") if lite else runtime in (None, "*")):
            return manifest
    raise AssertionError(f"no manifest for {ARCHITECTURE}, lite={lite}")


class Component:
    """`configuration`: what a deployment merges over the recipe's defaults."""

    def __init__(self, recipe, artifacts, root, lite, configuration=None):
        self.recipe, self.lite = recipe, lite
        self.work = pathlib.Path(root) / "work" / recipe["ComponentName"]
        self.work.mkdir(parents=True, exist_ok=True)
        self.lifecycle = manifest_of(recipe, lite)["Lifecycle"]
        # Nucleus lite ends its directories with a slash.
        end = "/" if lite else ""
        self.paths = {"work:path": f"{self.work}{end}", "artifacts:path": f"{artifacts}{end}"}
        self.configuration = {**recipe["ComponentConfiguration"]["DefaultConfiguration"], **(configuration or {})}

    def value(self, variable):
        """What the nucleus puts in place of {variable}; None: it leaves it as it is."""
        if variable in self.paths:
            return self.paths[variable]
        assert variable.startswith("configuration:/"), variable
        value = self.configuration.get(variable.removeprefix("configuration:/"))
        if value is None:
            # Nucleus lite stops writing the script here: a recipe must not count on it.
            assert not self.lite, f"{variable} is not in the configuration"
            return None
        return value if isinstance(value, str) else json.dumps(value)

    def filled_in(self, text, escape=lambda value: value):
        def replacement(found):
            value = self.value(found.group(1))
            return found.group(0) if value is None else escape(value)
        if self.lite:
            assert "{" not in re.sub(r"\{[^{}]*:[^{}]*\}", "", text), "nucleus lite takes every '{' for a variable"
        return re.sub(r"\{([^{}\s]+:[^{}\s]+)\}", replacement, text)

    def start(self, env):
        """Returns the process; its standard output is what the nucleus logs."""
        phase = self.lifecycle["startup"]
        env = {"PATH": os.environ["PATH"], **env}
        if self.lite:
            lines = ["#!/bin/sh"]
            for key, text in phase.get("Setenv", {}).items():
                value = self.filled_in(text, lambda value: value.replace("'", "'\\''"))
                lines.append(f"export {key}='{value}'")
            lines.append(self.filled_in(phase["Script"], lambda value: re.sub(r'(["\\$`])', r"\\\1", value)))
            lines += ["systemd-notify --ready", "systemd-notify --stopping", ""]
            file = self.work / "script"
            file.write_text("\n".join(lines))
            command = ["/bin/sh", str(file)]
        else:
            env.update({key: self.filled_in(text) for key, text in phase.get("Setenv", {}).items()})
            command = ["sh", "-c", self.filled_in(phase["Script"])]
        return subprocess.Popen(command, cwd=self.work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def shut_down(self):
        """The classic nucleus's script before it ends what is left."""
        phase = self.lifecycle["shutdown"]
        subprocess.run(["sh", "-c", self.filled_in(phase["Script"])], cwd=self.work, check=True,
                       timeout=phase["Timeout"], env={"PATH": os.environ["PATH"]})
