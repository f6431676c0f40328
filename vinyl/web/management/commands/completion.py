"""`vinyl completion`: completion of `vinyl` commands in a shell."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

__all__ = ["Command"]

# Django's utility answers where DJANGO_AUTO_COMPLETE is set.
BASH = """\
_vinyl_completion() {
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        DJANGO_AUTO_COMPLETE=1 "${COMP_WORDS[0]}" 2>/dev/null))
}
complete -o default -F _vinyl_completion vinyl
"""
ZSH = f"""\
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
{BASH}"""
FISH = """\
function _vinyl_completion
    set -lx COMP_WORDS (commandline -op) (commandline -t)
    set -lx COMP_CWORD (count (commandline -oc))
    set -lx DJANGO_AUTO_COMPLETE 1
    string split ' ' (vinyl 2>/dev/null)
end
complete -c vinyl -a '(_vinyl_completion)'
"""
SCRIPTS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


class Command(BaseCommand):
    """Print a script for a shell."""

    help = (
        "Prints a script that lets a shell complete the commands and options of vinyl. "
        'For bash, write eval "$(vinyl completion bash)" into ~/.bashrc.'
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shell", choices=sorted(SCRIPTS))

    def handle(self, **options: Any) -> None:
        self.stdout.write(SCRIPTS[options["shell"]], ending="")
