"""Checkpoints: folders that a killed job goes on from, written by Orbax, whole or not at all."""

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine import files
from jnas.engine.fingerprints import Fingerprint, Resume, check
from jnas.engine.messages import argument

# Folders of Orbax: numbers of steps, and what a kill has left of one.
_STEP = re.compile(r"(\d+)(\.orbax-checkpoint-tmp.*)?")


def remove(folder: Path) -> None:
    """No steps of jnas in a folder, and no folder where nothing else is in it."""
    own = files.listed_folders(folder)
    for path, name in _steps(folder).items():
        if name in own or path.name != name:
            shutil.rmtree(path, ignore_errors=True)
    if folder.is_dir():
        files.list_folders(folder, set())
    with contextlib.suppress(OSError):
        folder.rmdir()


def _steps(folder: Path) -> dict[Path, str]:
    """Folders of steps within a folder → the number of the step, as text."""
    found = {path: _STEP.fullmatch(path.name) for path in folder.glob("[0-9]*")}
    return {path: match[1] for path, match in found.items() if match and path.is_dir()}


def _full(leaves: list[Any]) -> list[Any]:
    """Leaves that have content: Orbax saves no others."""
    return [leaf for leaf in leaves if np.size(leaf)]


class Checkpoint:
    """Folder that one job is kept in, or none.

    Attributes:
        folder: None keeps nothing.
        kept: what stands for the job beside its result, as `fingerprints.check` returns it; with
            `earlier_code` where other code has done a part of it. Known once it was restored.
    """

    def __init__(
        self,
        folder: str | Path | None,
        fingerprint: Callable[[], Fingerprint],
        resume: Resume = True,
    ) -> None:
        """Open a folder, which need not exist.

        Args:
            folder: None keeps nothing.
            fingerprint: of the job; called only where there is a folder.
            resume: False forgets what the folder holds; "anyway" goes on though jnas has changed.

        Raises:
            FileExistsError: it is to be forgotten, but jnas did not write it.
        """
        # Orbax takes absolute paths only.
        self.folder = None if folder is None else Path(folder).absolute()
        self.kept: dict[str, Any] = {}
        self._manager: Any = None
        self._resume: Resume = resume
        if self.folder is None:
            return
        self._fingerprint = fingerprint()
        self.kept = self._fingerprint._asdict()
        if not resume:
            # Orbax would not save a step below one that is there. Other files of the folder stay.
            self._check_own()
            remove(self.folder)

    def restore(self, like: Callable[[dict[str, Any]], Any]) -> tuple[Any, dict[str, Any]] | None:
        """Last tree that was saved, and what was told about it; None where there is none.

        Args:
            like: from what was told about the tree to a tree of the same structure, whose leaves
                have its shapes and types; only traced.

        Raises:
            ValueError: the folder holds another job, or one that other code has begun.
        """
        # Looked up by name first, so that a new job does not wait for the import of Orbax.
        if self.folder is None or not _steps(self.folder):
            return None
        ocp, manager = self._open()
        step = manager.latest_step()
        if step is None:
            return None
        # What was told comes first: another job's arrays may have shapes that cannot be restored.
        try:
            about = ocp.args.Composite(about=ocp.args.JsonRestore())
            told = manager.restore(step, args=about)["about"]
        # Orbax has no error of its own for a folder that is somebody else's.
        except Exception:
            self._check_own()
            raise
        found = told.get("fingerprint") if isinstance(told, dict) else None
        found = found if isinstance(found, dict) else {}
        self.kept = check(found, self._fingerprint, str(self.folder), self._resume, "checkpoint")
        # A checkpoint of this job was written by jnas, whether or not it is listed.
        files.list_folders(self.folder, files.listed_folders(self.folder) | {str(step)})
        shape = jax.eval_shape(lambda: like(told["about"]))
        leaves, structure = jax.tree.flatten(shape)
        arguments = ocp.args.Composite(tree=ocp.args.StandardRestore(_full(leaves)))
        found = iter(manager.restore(step, args=arguments)["tree"])
        whole = [
            next(found) if np.size(leaf) else jnp.zeros(leaf.shape, leaf.dtype) for leaf in leaves
        ]
        return jax.tree.unflatten(structure, whole), told["about"]

    def save(self, step: int, tree: Any, about: dict[str, Any]) -> None:
        """Replace what the folder holds; OSError if it cannot be written, or is not jnas' own.

        Args:
            step: larger than that of the last call.
            tree: of arrays; only its leaves are kept, so that our types may change.
            about: JSON values.
        """
        if self.folder is None:
            return
        self._check_own()
        # Listed before it is written, so that a kill leaves none that is not.
        there = {*_steps(self.folder).values()}
        files.list_folders(self.folder, files.listed_folders(self.folder) & there | {str(step)})
        ocp, manager = self._open()
        arguments = {
            "tree": ocp.args.StandardSave(_full(jax.tree.leaves(tree))),
            "about": ocp.args.JsonSave({"fingerprint": self.kept, "about": about}),
        }
        manager.save(step, args=ocp.args.Composite(**arguments))
        # Whatever Orbax does behind our back is done when a job says that it is saved.
        manager.wait_until_finished()

    def _check_own(self) -> None:
        """FileExistsError for steps that are not jnas' own, for Orbax would delete them."""
        assert self.folder is not None
        whole = {name for path, name in _steps(self.folder).items() if path.name == name}
        if others := sorted(whole - files.listed_folders(self.folder)):
            raise FileExistsError(
                f"{self.folder / others[0]} was not written by jnas and is not replaced; choose "
                f"another {argument('checkpoint')}, or move it away"
            )

    def _open(self) -> tuple[Any, Any]:
        """Orbax, which is slow to import, and its manager of the folder, opened once."""
        import orbax.checkpoint as ocp

        if self._manager is None:
            options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        return ocp, self._manager
