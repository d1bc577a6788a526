"""What a search buys on real photographs: the commands, in order, are in benchmarks/flagship/README.md.

python -m benchmarks.flagship pick RUN       architectures of all rows, from a run that has been searched
python -m benchmarks.flagship train RUN      their trainings, in the order of value; goes on where it stopped
python -m benchmarks.flagship time RUN       all architectures side by side, on a quiet machine
python -m benchmarks.flagship table RUN      poses on the validation set, table, plot, JSON
python -m benchmarks.flagship find MODEL     how many people a network for whole images finds
python -m benchmarks.flagship sheet MODEL    people alone in their pictures, as a network on crops sees them
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.flagship import finder, sheet
from benchmarks.flagship.picks import pick_all
from benchmarks.flagship.rows import Comparison
from benchmarks.flagship.scoring import score_rows, time_picks
from benchmarks.flagship.summary import summarise
from benchmarks.flagship.table import markdown, write_all
from benchmarks.flagship.trainings import train_rows
from benchmarks.flagship.workplace import Workplace
from nas.cli.console import err
from nas.errors import UserError
from nas.interrupt import Paused, exit_code, interruptible
from nas.runs import RunFolder
from nas.search.settings import SearchSettings

DEFAULT = Comparison()


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.flagship",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = found.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("run", type=Path, help="the folder of the trained supernet")
    shared.add_argument("--set", action="append", default=[], help="a.b=c of the run, such as data.root")
    pick = commands.add_parser("pick", parents=[shared])
    pick.add_argument("--whole", type=float, nargs="*", help=f"budgets of all rows, else {DEFAULT.whole} ms")
    pick.add_argument("--pair", type=float, nargs="*", help=f"of searched and scaled, else {DEFAULT.pair} ms")
    pick.add_argument(
        "--earlier-images", type=int, help="that taught the weights which the supernet began with"
    )
    pick.add_argument("--metric", default="PCK_torso@0.2", help="that the search went by")
    pick.add_argument("--trials", type=int, help="of each baseline; by default as many as the search scored")
    pick.add_argument("--seed", type=int, default=0)
    pick.add_argument("--predictor", type=Path, help="by default the run's")
    pick.add_argument("--allow-other-device", action="store_true")
    pick.add_argument("--no-measure", action="store_true", help="choose by predicted ms: for a busy machine")
    pick.add_argument(
        "--train-finalists", type=int, default=0, help="images, as the search trained them: the best of heads"
    )
    train = commands.add_parser("train", parents=[shared])
    train.add_argument("--hours", type=float, help="stop after so many; the same command goes on")
    train.add_argument("--row", action="append", help="these alone, such as *-0.5ms-*; may be repeated")
    time = commands.add_parser("time", parents=[shared])
    time.add_argument("--visits", type=int, default=9)
    table = commands.add_parser("table", parents=[shared])
    table.add_argument("--out", type=Path, default=Path("results/flagship"))
    network = argparse.ArgumentParser(add_help=False)
    network.add_argument("model", type=Path, help="weights or ONNX file")
    network.add_argument("--data", type=Path, required=True)
    network.add_argument("--images", type=Path, required=True)
    find = commands.add_parser("find", parents=[network])
    find.add_argument("--min-pose", type=float)
    find.add_argument("--out", type=Path)
    drawn = commands.add_parser("sheet", parents=[network])
    drawn.add_argument("--out", type=Path, required=True, help="a picture")
    drawn.add_argument("--no-photographs", action="store_true", help="truth in grey and answer on white")
    return found


def asked(args: argparse.Namespace) -> Comparison | None:
    """What a command line names of the comparison; None where it names nothing."""
    given = {"whole": args.whole, "pair": args.pair, "earlier_images": args.earlier_images}
    named = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    return replace(DEFAULT, **named) if named else None


def work(args: argparse.Namespace) -> None:
    """Do what a command line says. Raises UserError, Paused and KeyboardInterrupt as its parts do."""
    if args.command == "find":
        options = {"min_pose": args.min_pose, "out": args.out}
        print(*finder.told(finder.measure(args.model, args.data, args.images, **options)), sep="\n")
        return
    if args.command == "sheet":
        options = {"out": args.out, "photographs": not args.no_photographs}
        print(f"{args.out}: of {sheet.draw(args.model, args.data, args.images, **options)} people")
        return
    place = Workplace(RunFolder.open(args.run, args.set), tuple(args.set))
    if args.command == "pick":
        settings = SearchSettings(
            budgets_ms=(),
            metric=args.metric,
            trials=args.trials,
            seed=args.seed,
            predictor=args.predictor,
            allow_other_device=args.allow_other_device,
            measure=not args.no_measure,
            train_finalists=args.train_finalists,
        )
        pick_all(place, asked(args), settings)
    elif args.command == "train":
        train_rows(place, place.comparison, rows=args.row or ("*",), hours=args.hours, console=err)
    elif args.command == "time":
        time_picks(place, place.comparison, visits=args.visits)
    else:
        score_rows(place, place.comparison)
        facts, people = summarise(place, place.comparison)
        write_all(args.out, facts, people)
        print(markdown(facts))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; its exit code."""
    args = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with interruptible():
            work(args)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except Paused as pause:
        print(f"Time is up: {pause}. The same command goes on.", flush=True)
    except KeyboardInterrupt as stop:
        print("Interrupted. The same command goes on.", flush=True)
        return exit_code(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
