"""Every head by itself, and finalists that are trained on: who wins, and what is trained, when."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_predictor import made_up_predictor
from search_fakes import fake_accuracy, fake_cost, fake_costs, search_in_memory
from untrained_run import untrained_run

from nas.errors import UserError
from nas.runs import RunFolder
from nas.search.finalist_training import FinalistTraining
from nas.search.run import search_run
from nas.search.samplers import SAMPLERS, HeadTurns
from nas.search.samplers.heads import head_votes
from nas.search.settings import SearchSettings
from nas.search.values import Evaluation
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
