"""`jnas data`."""

from tests.commands.helpers import invoke


def test_data_lists_tables_and_images(tmp_path) -> None:
    printed = invoke("data", "--folder", tmp_path)
    for name in ("nasbench201", "15,625", "digits", "1,797", "cifar10", "noise"):
        assert name in printed
