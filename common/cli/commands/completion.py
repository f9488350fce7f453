"""``jobsource completion``: the script by which a shell completes the command's words."""

from __future__ import annotations

from typing import Annotated, Literal

from common.cli.arguments.parameters import Parameter
from common.cli.console import write_line
from common.cli.parsing.app import make_app


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(names=("SHELL",), help="The shell.")], /
) -> int:
    """Print a script that completes commands and options.

    bash: add "source <(jobsource completion bash)" to ~/.bashrc. zsh: write it to a file _jobsource in a
    folder of $fpath. fish: write it to ~/.config/fish/completions/jobsource.fish.
    """
    write_line(make_app().generate_completion(shell=shell).rstrip())
    return 0
