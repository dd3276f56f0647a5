"""What operators do to a daemon, as disturbances: none of it may take a target away."""

from collections.abc import Callable

from story import PASSING, SMALL, Story


def reloaded(story: Story) -> None:
    """Change a setting while targets change."""
    story.plane.serve(story.change())
    story.daemon.reload()
    story.serve()


def renamed(story: Story) -> None:
    """Give the control plane another name, which makes a new connection; then some targets are really gone."""
    story.calm()
    story.rename()
    story.serve(*PASSING)
    story.calm()
    story.serve()


def restarted(story: Story) -> None:
    """Stop the daemon, change targets meanwhile, and start it again."""
    story.calm()
    story.restart(*PASSING)
    story.calm()
    story.serve()


def accepted(story: Story) -> None:
    """Remove a whole mesh, and accept that."""
    story.calm()
    story.serve(*SMALL)
    story.accept()
    story.serve()


OPERATIONS: list[Callable[[Story], None]] = [reloaded, renamed, restarted, accepted]
