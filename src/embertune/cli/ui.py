"""``embertune ui``: the whole loop in a browser."""

from __future__ import annotations

import click

from embertune.cli.console import Console, emit

__all__ = ["command"]


@click.command("ui")
@click.argument("folder", default="embertune-workbench")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen at; one that others can reach needs a password.")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Port to listen at.")
@click.option("--auth", metavar="USER", help="Ask for a password for this user; else EMBERTUNE_UI_AUTH=USER:PASSWORD.")
@click.option("--space", metavar="DIR", help="Write a Hugging Face Space to this folder instead of opening anything.")
def command(folder: str, host: str, port: int, auth: str | None, space: str | None) -> None:
    """Open the workbench of FOLDER: data, tuning, runs and what came of them, in a browser.

    Data sets and runs are kept in FOLDER, which is made if absent. Jobs go on when the browser is closed.
    """
    from embertune.ui.serve import read_auth, serve
    from embertune.ui.space import write_space

    if space is not None:
        for path in write_space(space):
            emit(str(path), str(path), as_json=False)
        Console().advise("Push it with: hf upload NAME/SPACE DIR --repo-type space")
        return
    if auth is not None:
        auth = f"{auth}:{click.prompt('Password', hide_input=True, err=True)}"
    allowed = read_auth(auth, host)
    Console().advise(f"Workbench: http://{host}:{port}\nFolder:    {folder}\nEnd it with Ctrl-C; jobs go on.")
    serve(folder, host=host, port=port, auth=allowed)
