"""``python -m clv.data.simulate FOLDER`` draws the sample `demo` afresh."""

from __future__ import annotations

import click

from clv.data.simulate.demo import write_demo


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
def main(folder: str) -> None:
    """Write the tables and the truth of the sample `demo` into FOLDER."""
    for file in write_demo(folder):
        click.echo(str(file))


if __name__ == "__main__":
    main()
