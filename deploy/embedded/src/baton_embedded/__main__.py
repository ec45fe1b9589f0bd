"""`python -m baton_embedded`: the same as the `baton` command."""

from __future__ import annotations

from baton_embedded.command_line import main

main()
