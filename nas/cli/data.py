"""`nas data`: is a data set sound, what does it hold, how is it augmented; COCO files of other labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nas.cli.console import print_json, print_table, remark, say
from nas.cli.data_label import label
from nas.cli.displays import progress_lines
from nas.cli.options import CategoryOption
from nas.cli.train import SetOption
from nas.errors import UserError
from nas.files import write_bytes, write_text
from nas.outputs import PAGE, require_replaceable

if TYPE_CHECKING:
    from nas.data.check_report import CheckReport
    from nas.data.stats import SplitStats
    from nas.space import Skeleton

app = typer.Typer()
app.command()(label)

_SHOWN_EXAMPLES = 3

DataArgument = Annotated[
    Path, typer.Argument(metavar="D", help="A COCO keypoint file, or a folder with annotations/ and images/.")
]
_JSON_HELP = "Print one JSON document."


@app.callback()
def _data() -> None:
    """Data sets."""


@app.command()
def check(
    data: DataArgument,
    images: Annotated[
        Path | None, typer.Option(help="The image folder; by default looked for around the annotations.")
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="The joints that the set should have: a name or a YAML file.")
    ] = None,
    orientation: Annotated[
        Literal["turned", "stored"],
        typer.Option(
            help="What the labels are of: pictures turned as their orientation flag says, or as stored."
        ),
    ] = "turned",
    category: CategoryOption = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures of examples.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Images, boxes, joints, ids, and leakage between splits. Exit code 1 where there are problems."""
    from nas.data.check import check_dataset
    from nas.data.check_html import check_page

    if html is not None:
        require_replaceable(html, PAGE, inputs=(data,))
    lines = progress_lines("images decoded")
    report = check_dataset(
        data,
        images,
        skeleton=_skeleton(skeleton),
        category=category,
        orientation=orientation,
        progress=lines,
    )
    if html is not None:
        write_text(html, check_page(f"Data set {data}", report))
    if as_json:
        print_json({"data": str(data)} | report.to_json())
    else:
        _print_report(report)
        if html is not None:
            say(f"\nPictures of examples: {html}")
    if report.problems:
        raise typer.Exit(1)


@app.command()
def stats(
    data: DataArgument,
    skeleton: Annotated[
        str | None, typer.Option(help="Count the joints of this skeleton instead of the file's own.")
    ] = None,
    category: CategoryOption = None,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Images, people, joints, crowds and sizes of each split."""
    from nas.data.stats import dataset_stats

    splits = dataset_stats(data, skeleton=_skeleton(skeleton), category=category)
    if as_json:
        print_json({"data": str(data), "splits": [split.to_json() for split in splits]})
        return
    for number, split in enumerate(splits):
        if number:
            say()
        _print_stats(split)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="An annotation file; for yolo also a folder or data.yaml.")
    ],
    format_: Annotated[
        Literal["mpii", "crowdpose", "yolo", "cvat"], typer.Option("--from", help="What the source is.")
    ],
    output: Annotated[Path, typer.Option("--out", help="The COCO keypoint file to write.")],
    skeleton: Annotated[
        str | None,
        typer.Option(help="The wanted joints, matched by name; for sources without names what they are."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="mpii: the image folder, for sizes.")] = None,
    split: Annotated[
        str | None, typer.Option(help="yolo: train, val or test of data.yaml; by default train.")
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(
            help="crowdpose, yolo, cvat: the category, class or label that is people; by default person."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Annotations of another format as a COCO keypoint file, checked by the loader before it is kept."""
    from nas.data.convert import convert as run_convert
    from nas.data.convert import write_coco

    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"--out {output}: this is the source; nothing is written over it")
    if output.exists() and output.suffix != ".json":
        raise UserError(f"--out {output}: it exists and is no .json file; nothing is written over it")
    converted = run_convert(
        source,
        format_=format_,
        images=images,
        skeleton=_skeleton(skeleton),
        split=split,
        category=category,
        progress=progress_lines("images decoded"),
    )
    annotations = write_coco(converted, output)
    people = annotations.people
    figures = {
        "file": str(output),
        "images": len(annotations.images),
        "people": len(people),
        "labelled_people": int(people.labelled.sum()),
        "joints": len(annotations.skeleton),
        "images_folder": None if converted.images is None else str(converted.images),
        "remarks": list(converted.remarks),
    }
    if as_json:
        print_json(figures)
        return
    for line in converted.remarks:
        remark(f"{source}: {line}")
    say(
        f"{output}: {figures['images']:,} images, {figures['people']:,} people "
        f"({figures['labelled_people']:,} with labelled joints), {figures['joints']} joints",
    )
    if converted.images is not None:
        say(f"File names start from {converted.images}")


@app.command()
def shard(
    annotations: Annotated[Path, typer.Argument(help="A COCO keypoint file.")],
    images: Annotated[Path, typer.Argument(help="The folder that its file names start from.")],
    output: Annotated[Path, typer.Option("--out", help="The folder of shards to write; a new one.")],
    largest_mib: Annotated[int, typer.Option(min=1, help="Size of a shard, in MiB.")] = 256,
) -> None:
    """Pack the images of an annotation file into tar files, which `images:` of a recipe may name instead."""
    from nas.coco import read_coco, read_images
    from nas.data.shards import write_shards

    if not images.is_dir():
        raise UserError(f"{images}: the image folder does not exist")
    listed = read_images(read_coco(annotations, lists=("images",))["images"], annotations)
    files = {image.file: images / image.file for image in listed}
    shards = write_shards(
        list(files.items()), output, largest_mib=largest_mib, progress=progress_lines("images packed")
    )
    say(f"{output}: {len(files):,} images in {len(shards):,} shards")


@app.command()
def preview(
    supernet: Annotated[str, typer.Argument(help="A shipped supernet's name, a YAML file, or a run.")],
    output: Annotated[Path, typer.Option("--out", help="The picture to write, such as samples.jpg.")],
    overrides: SetOption = None,
    count: Annotated[int, typer.Option(min=1, help="Samples.")] = 24,
    columns: Annotated[int, typer.Option(min=1, help="Samples per row.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Changes which samples, and how they vary.")] = 0,
    late: Annotated[bool, typer.Option("--late", help="As in the last part of training.")] = False,
) -> None:
    """A picture of augmented training samples with their labels; what the loss leaves out is dark."""
    import cv2
    import numpy as np

    from nas.report.preview import preview as draw_preview
    from nas.runs.folder import load_recipe

    colours = np.zeros((1, 1, 3), np.uint8)
    if not cv2.haveImageWriter(output.name) or not cv2.imencode(output.suffix, colours)[0]:
        raise UserError(f"--out {output}: expected the name of a picture in colours, such as samples.jpg")
    config = load_recipe(supernet, overrides or [])
    sheet = draw_preview(config, count=count, columns=columns, seed=seed, late=late)
    _, encoded = cv2.imencode(output.suffix, sheet[..., ::-1])
    write_bytes(output, encoded.tobytes())
    say(f"Samples: {output}")


def _skeleton(name: str | None) -> "Skeleton | None":
    from nas.space import Skeleton

    return None if name is None else Skeleton.load(name)


def _print_report(report: "CheckReport") -> None:
    for split in report.splits:
        folder = "images not found" if split.folder is None else f"images in {split.folder}"
        say(f"{split.file}: {split.images:,} images, {split.people:,} people, {folder}")
    if report.findings:
        say()
        print_table(
            None,
            ("class", "severity", "count"),
            ((finding.kind.title, finding.kind.severity, finding.count) for finding in report.findings),
            text_columns=2,
        )
    for finding in report.findings:
        say(f"\n{finding.kind.title}. {finding.kind.advice}", style="bold")
        for example in finding.examples[:_SHOWN_EXAMPLES]:
            say(f"  {example}")
        more = finding.count - min(_SHOWN_EXAMPLES, len(finding.examples))
        if more:
            say(f"  and {more:,} more")
    say(f"\n{report.verdict}")


def _print_stats(split: "SplitStats") -> None:
    from nas.data.stats import QUANTILES

    say(f"{split.file}\n", style="bold")
    people_per_image = sum(n * images for n, images in enumerate(split.per_image)) / max(split.images, 1)
    small, medium, large = split.by_area
    print_table(
        None,
        ("", "count"),
        (
            ("images", split.images),
            ("images with labelled people", split.labelled_images),
            ("people", split.people),
            ("people with labelled joints", split.labelled),
            ("crowd regions", split.crowds),
            ("people per image, mean", people_per_image),
            ("people per image, most", len(split.per_image) - 1),
            ("labelled joints per labelled person, mean", split.joints_per_person),
            ("small people (area below 32 x 32 px)", small),
            ("medium people", medium),
            ("large people (area from 96 x 96 px)", large),
        ),
    )
    say()
    spreads = {
        "image height, px": split.image_height,
        "image width, px": split.image_width,
        "box height, px": split.box_height,
        "box width, px": split.box_width,
        "area, px²": split.area,
    }
    titles = [f"{quantile:.0%}" for quantile in QUANTILES]
    rows = ((name, *(round(value) for value in spread)) for name, spread in spreads.items())
    print_table("Spread (boxes and areas of labelled people)", ("", *titles), rows)
    say()
    print_table(
        "Joints of labelled people",
        ("joint", "labelled", "share", "of these occluded"),
        (
            (name, labelled, f"{labelled / max(split.labelled, 1):.1%}", f"{occluded / max(labelled, 1):.1%}")
            for name, (labelled, occluded) in split.joints.items()
        ),
    )
