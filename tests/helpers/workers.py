"""The processes that run jobs."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that one has started and that have not ended."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(after_name[1]) == pid and after_name[0] != "Z":
            pids.append(int(stat.parent.name))
    return pids


def workers(driver: int) -> list[int]:
    """The processes that run jobs: those that the driver's fork server has started, and none of a Ray cluster."""
    servers = [child for child in children(driver) if "multiprocessing.forkserver" in _command(child)]
    return [worker for server in servers for worker in children(server)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""  # it has ended
