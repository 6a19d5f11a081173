"""Charts of one trained network: which numbers they draw, and what they refuse."""

import numpy as np
import pytest

from jnas import plots


def curves(epochs: int = 12) -> dict[str, np.ndarray]:
    falling = 1 / np.arange(1, epochs + 1)
    nothing = np.full(epochs, np.nan)
    return {
        "train_loss": falling,
        "train_accuracy": 1 - falling / 2,
        "validation_loss": 2 * falling,
        "validation_accuracy": 1 - falling,
        "test_loss": nothing,
        "test_accuracy": nothing,
    }


def test_learning_curves_draw_parts_that_have_images() -> None:
    known = curves()
    loss, accuracy = plots.learning_curves(known, title="a title").axes
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in accuracy.lines}
    assert set(drawn) == {"train", "validation"}
    np.testing.assert_allclose(drawn["validation"], 100 * known["validation_accuracy"])
    np.testing.assert_allclose(loss.lines[0].get_ydata(), known["train_loss"])
    assert loss.get_title(loc="left") == "a title"
    low, high = accuracy.get_ylim()
    assert low < 100 * known["train_accuracy"][-1] < high


def test_a_loss_that_explodes_at_first_does_not_squash_the_others() -> None:
    known = curves(40)
    known["validation_loss"] = np.where(np.arange(40) == 0, 1e6, known["validation_loss"])
    assert plots.learning_curves(known).axes[0].get_ylim()[1] < 10


def test_learning_curves_of_one_epoch_and_of_nothing() -> None:
    assert plots.learning_curves(curves(1)).axes
    nothing = {name: np.full(3, np.nan) for name in curves()}
    assert not plots.learning_curves(nothing).axes[0].lines
    with pytest.raises(ValueError, match="train_loss"):
        plots.learning_curves({})
    with pytest.raises(ValueError, match="one length"):
        plots.learning_curves(curves() | {"test_loss": np.zeros(3)})


def test_confusion_has_each_count_in_its_place() -> None:
    counts = np.array([[5, 0, 1], [2, 8, 0], [0, 0, 0]])
    (axes,) = plots.confusion_matrix(counts, ("ant", "bee", "a" * 60)).axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "5", (2, 0): "1", (0, 1): "2", (1, 1): "8"}
    share = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(share, [[5 / 6, 0, 1 / 6], [0.2, 0.8, 0], [0, 0, 0]])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["ant", "bee"]
    assert "13 of 16 right" in axes.get_title(loc="left")
    with pytest.raises(ValueError, match="counts"):
        plots.confusion_matrix(counts, ("a", "b"))


def test_many_classes_have_fewer_names_and_no_counts() -> None:
    names = [f"class {number}" for number in range(120)]
    (axes,) = plots.confusion_matrix(np.eye(120), names).axes
    assert not axes.texts
    assert 30 <= len(axes.get_yticks()) <= 40


@pytest.mark.parametrize("channels", [1, 3])
def test_examples_are_the_images(channels) -> None:
    images = np.random.default_rng(0).uniform(0, 1, (8, 4, 4, channels))
    figure = plots.examples(images, [f"text {number}" for number in range(8)])
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [f"text {number}" for number in range(8)]
    np.testing.assert_allclose(
        np.asarray(shown[3].images[0].get_array()).reshape(4, 4, channels), images[3]
    )
    with pytest.raises(ValueError, match="a text each"):
        plots.examples(images, ["one"])
