"""Train a recipe: python train_recipe.py RECIPE.json FOLDER."""

import json
import sys
from pathlib import Path

from nas.train.config import SupernetConfig
from nas.train.supernet import train_supernet

if __name__ == "__main__":
    recipe, folder = sys.argv[1:]
    train_supernet(SupernetConfig.read(json.loads(Path(recipe).read_text()), recipe), folder)
