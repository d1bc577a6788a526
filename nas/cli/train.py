"""`nas train`, `nas transfer`, `nas finetune`: supernets and the subnets that come out of them."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import err, say

RunArgument = Annotated[Path, typer.Argument(help="The folder of a run, such as runs/person-crop-lsp.")]
ArchArgument = Annotated[str, typer.Argument(help="An arch JSON, or a shipped subnet's name.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field: NAME=VALUE, such as optimizer.lr=0.001. May be repeated."),
]
RunSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change where a run works: NAME=VALUE, such as data.root=FOLDER. May be repeated."
    ),
]
InitBackboneOption = Annotated[
    Path | None,
    typer.Option(
        "--init-backbone", help="Start the backbone, and a neck that agrees, from weights with other heads."
    ),
]
HoursOption = Annotated[
    float | None,
    typer.Option("--hours", help="Stop after so many, with a checkpoint; the same command goes on."),
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the result; default: the arch's id.")]


def train(
    supernet: Annotated[str, typer.Argument(help="A shipped supernet's name, or a YAML file.")],
    overrides: SetOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; by default the recipe's.")
    ] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Where runs lie.")] = Path("runs"),
    seed: Annotated[int | None, typer.Option("--seed", help="Changes all random choices.")] = None,
    init_backbone: InitBackboneOption = None,
    hours: HoursOption = None,
) -> None:
    """Train a supernet. The same command goes on where it was stopped."""
    from nas.files import one_component
    from nas.runs import load_config
    from nas.train import train_supernet

    changes = [*(overrides or []), *_assigned("init.backbone", init_backbone)]
    changes += [f"seed={seed}"] if seed is not None else []
    config = load_config(supernet, changes)
    folder = runs / one_component(name or config.name, "--name")
    run = train_supernet(config, folder, hours=hours, console=err)
    say(f"Supernet: {run.weights_file}")
    say(f"Metrics:  {run.metrics_file}")


def transfer(
    run: RunArgument, arch: ArchArgument, overrides: RunSetOption = None, name: NameOption = None
) -> None:
    """Write the calibrated weights that a subnet inherits from a run's supernet."""
    from nas.runs import RunFolder
    from nas.runs.subnet_file import load_subnet
    from nas.train import transfer_subnet

    opened = RunFolder.open(run, overrides or [])
    say(str(transfer_subnet(opened, load_subnet(opened, arch), name=name)))


def finetune(
    run: RunArgument,
    arch: ArchArgument,
    overrides: SetOption = None,
    name: NameOption = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="From random weights instead of the supernet's: a baseline.")
    ] = False,
    init_backbone: InitBackboneOption = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="Weights of a network with the same head to learn from.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Changes all random choices; by default the run's.")
    ] = None,
    hours: HoursOption = None,
) -> None:
    """Train a subnet on from what it inherits. The same command goes on where it was stopped."""
    from nas.runs import RunFolder, load_finetune_config
    from nas.runs.folder import is_free
    from nas.runs.subnet_file import load_subnet
    from nas.train import finetune_subnet

    changes = [*(overrides or []), *_assigned("init.backbone", init_backbone), *_assigned("teacher", teacher)]
    opened = RunFolder.open(run, filter(is_free, changes))
    recipe = load_finetune_config(opened, itertools.filterfalse(is_free, changes))
    path = finetune_subnet(
        opened,
        load_subnet(opened, arch),
        recipe=recipe,
        name=name,
        scratch=scratch,
        seed=seed,
        hours=hours,
        console=err,
    )
    say(str(path))


def _assigned(field: str, path: Path | None) -> list[str]:
    from nas.runs.override import assignment

    return [] if path is None else [assignment(field, path)]
