"""Run by test_engines: cells on a Ray cluster of two nodes on this computer, one of which is lost on the way."""

import sys
import time

from ray.cluster_utils import Cluster

from helpers.bars import draw_bars
from helpers.fake_jobs import SMALL, small_job
from imparfait.selection.executors import executor_named
from imparfait.selection.jobs import run_job

data = draw_bars(240)
jobs = [small_job(data, partition=n, settings=SMALL.model_copy(update={"epochs": 8})) for n in range(12)]

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
executor = executor_named("ray", cluster.address)
assert executor.at_once == 2, executor
found, lost = {}, None
for job, outcome in executor.run(jobs, data):
    found[job.partition] = outcome
    if len(found) == 3:
        cluster.remove_node(nodes[1], allow_graceful=False)
        lost = time.monotonic()
assert lost
assert sorted(found) == list(range(12)), sorted(found)
for job in jobs:
    assert not found[job.partition].cause, found[job.partition].cause
    assert (found[job.partition].said == run_job(job, data).said).all()
print("12 cells, a node lost after 3 of them: the same outcomes as here", file=sys.stdout)
