"""A script for test_executors: jobs on a Ray cluster of two local nodes, one of which is lost."""

from ray.cluster_utils import Cluster

from helpers.bars import draw_bars
from helpers.fake_jobs import SMALL, small_job
from imparfait.selection.executors import executor_named
from imparfait.selection.jobs import run_job

JOBS, LOST_AFTER = 6, 2

data = draw_bars(240)
settings = SMALL.model_copy(update={"epochs": 8})
jobs = [small_job(data, partition=n, settings=settings) for n in range(JOBS)]

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
executor = executor_named("ray", cluster.address)
assert executor.workers == 2, executor
results, lost = {}, False
for job, result in executor.run(jobs, data):
    results[job.partition] = result
    if len(results) == LOST_AFTER:
        cluster.remove_node(nodes[1], allow_graceful=False)
        lost = True
assert lost
assert sorted(results) == list(range(JOBS)), sorted(results)
for job in jobs:
    assert not results[job.partition].cause, results[job.partition].cause
    assert (results[job.partition].predicted == run_job(job, data).predicted).all()
print(f"{JOBS} jobs, a node lost after {LOST_AFTER} of them: the same results as in this process")
