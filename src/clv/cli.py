"""The command line: ``clv report``, ``clv check``, ``clv init``, ``clv samples``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clv import __version__
from clv.errors import ClvError, RunError

if TYPE_CHECKING:
    from clv.report.run import Outcome


class Setting(click.ParamType):
    """``key=value``: a dotted path into study.yml, and a value as YAML would read it."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first ``=``."""
        key, found, text = str(value).partition("=")
        if not found or not key.strip():
            self.fail(f"{value!r} is not of the form key=value, e.g. horizon=26 or tiers.0.cost=9000", param, ctx)
        return key.strip(), text.strip()


_settings = click.option(
    "-p",
    "settings",
    type=Setting(),
    multiple=True,
    help="Replace a setting of study.yml for this run: horizon=26, tiers.0.cost=9000. May be repeated.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clv")
@click.option("--debug", is_flag=True, help="Show tracebacks and what kernels print.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Make reproducible reports on customer lifetime value, churn stages and account-based marketing."""
    context.obj = debug


@cli.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY…")
@click.option("--only", multiple=True, metavar="NAME", help="Run this notebook only; may be repeated.")
@_settings
@click.option("--jobs", type=click.IntRange(min=1), help="Studies made at once.  [default: one a processor]")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, help="Folder of all reports."
)
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=1800, show_default=True, help="Seconds that one cell may take."
)
@click.option(
    "--notebooks", type=click.Path(path_type=Path), help="Folder of notebooks to run instead of those that ship."
)
@click.pass_obj
def report(
    debug: bool,
    studies: Sequence[str],
    only: Sequence[str],
    settings: Sequence[tuple[str, str]],
    jobs: int | None,
    out: Path,
    timeout: float,
    notebooks: Path | None,
) -> None:
    """Run the notebooks of each STUDY (a folder with a study.yml, or the name of a sample) and write its report."""
    from clv.report.jobs import run_studies
    from clv.report.run import Request
    from clv.report.terminal import Progress

    requests = [
        Request(study, out, tuple(only), dict(settings), notebooks, timeout, debug) for study in dict.fromkeys(studies)
    ]
    with Progress(requests) as progress:
        outcomes = run_studies(requests, jobs=jobs, watch=progress)
    for outcome in outcomes:
        _say(outcome)
    if any(outcome.faults for outcome in outcomes):
        raise SystemExit(1)


def _say(outcome: Outcome) -> None:
    from clv.report.jobs import page_of

    page = page_of(outcome)
    if not outcome.faults:
        click.echo(f"{outcome.name}: {outcome.pages} pages, {page}")
        return
    for fault in outcome.faults:
        if fault.kind != "skipped":
            click.echo(f"Error: {outcome.name}: {fault.line}", err=True)
    skipped = [fault.notebook for fault in outcome.faults if fault.kind == "skipped"]
    if skipped:
        click.echo(f"{outcome.name}: not run for that reason: {', '.join(skipped)}", err=True)
    if page is not None:
        click.echo(f"{outcome.name}: not published; what was made, and what failed, is in {page}", err=True)


@cli.command()
@click.argument("study")
@_settings
@click.option(
    "--rejected",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the rows not used to this file (.csv or .parquet).",
)
def check(study: str, settings: Sequence[tuple[str, str]], rejected: Path | None) -> None:
    """Read every table of STUDY and say what was read, set aside and accepted."""
    from clv.report.checking import check_study, write_rejected

    checked = check_study(study, dict(settings))
    click.echo(checked.text)
    if rejected is not None:
        write_rejected(checked.rejected, rejected)
        click.echo(f"{len(checked.rejected):,} rows that were not used: {rejected}")
    for message in checked.faults:
        click.echo(f"Error: {message}", err=True)
    if checked.faults:
        raise SystemExit(1)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Look at the files in FOLDER and write a study.yml for them."""
    from clv.data.start.init import init_study

    path = init_study(folder)
    click.echo(f"Wrote {path}. Read it once, then: clv check {folder}")


@cli.command()
def samples() -> None:
    """List the samples that come with clv."""
    from clv.data.samples import list_samples

    for row in list_samples().to_dict(orient="records"):
        notes = [
            note for note, there in (("synthetic", row["synthetic"]), ("data not here", not row["available"])) if there
        ]
        click.echo(f"{row['name']}: {row['title']}" + (f" ({', '.join(notes)})" if notes else ""))
        for key in ("provenance", "licence"):
            if row.get(key):
                click.echo(f"    {key}: {' '.join(str(row[key]).split())}")


def _on_terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    Exit status: 0 success, 1 an error in study, data or run, 2 wrong usage, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        status = cli.main(given, prog_name="clv", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. What was published before is untouched.", err=True)
        sys.exit(130)
    except ClvError as error:
        if debug:
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        text = RunError(f"{type(error).__name__}: {error}", mend="Run it again with 'clv --debug …' to see where.")
        click.echo(f"Error: {text}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
