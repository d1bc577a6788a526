import subprocess
import sys

import pytest

from nas.errors import UserError
from nas.shipped import locate, shipped, shipped_names


def test_shipped_files_are_found_by_name() -> None:
    assert shipped("search_spaces", "litepose", ".yaml").name == "litepose.yaml"
    assert "litepose-auto-l" in shipped_names("subnets", ".json")
    assert locate("subnets", "litepose-auto-xs", ".json") == shipped("subnets", "litepose-auto-xs", ".json")
    path = shipped("subnets", "litepose-auto-xs", ".json")
    assert locate("subnets", path, ".json") == path
    with pytest.raises(UserError, match="no such file"):
        locate("subnets", "folder/absent", ".json")


def test_spaces_need_no_torch() -> None:
    script = (
        "import sys, nas; nas.SearchSpace.load('litepose').published(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
