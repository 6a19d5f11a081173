"""`jnas data`."""

import jnas
from tests.commands.helpers import invoke


def test_data_lists_tables_and_images(tmp_path) -> None:
    printed = invoke("data", "--folder", tmp_path)
    for name in ("nasbench201", "15,625", "digits", "1,797", "cifar10", "noise"):
        assert name in printed
    surrogates = printed.partition("Surrogates of trainings")[2].partition("Images for")[0]
    assert "nasbench301_net: not here\n      Put nasbench301_net.npz into a folder" in surrogates
    (tmp_path / "nasbench301_net.npz").touch()
    printed = invoke("data", "--folder", tmp_path)
    assert "nasbench301_net: any architecture" in printed
    to_train_on = printed.partition("Data sets to train on")[2]
    assert "digits: 1,797 images" in to_train_on
    assert "cifar10: not here" in to_train_on


def test_files_that_cannot_be_read_are_left_out(tmp_path) -> None:
    table = jnas.benchmarks.nasbench201()
    jnas.benchmarks.save(table.best(300), tmp_path / "mine.npz")
    content = (tmp_path / "mine.npz").read_bytes()
    half = len(content) // 2
    (tmp_path / "broken.npz").write_bytes(content[:half] + bytes(100) + content[half + 100 :])
    for suffix in ("csv", "npz"):
        (tmp_path / f"folder.{suffix}").mkdir()
        (tmp_path / f"dangling.{suffix}").symlink_to(tmp_path / "nowhere")
    printed = invoke("data", "--folder", tmp_path)
    assert "mine: 300 rows" in printed
    for name in ("broken", "folder", "dangling"):
        assert f"{name}:" not in printed
