"""Two tasks that are solved by any answer of the scripted provider."""

import verifiers.v1 as vf


class CompatTask(vf.Task[vf.TaskData]):
    @vf.reward(weight=1.0)
    async def reward(self, trace: vf.Trace) -> float:
        return float(trace.num_turns == 1)


class CompatTaskset(vf.Taskset[CompatTask, vf.TasksetConfig]):
    def load(self) -> list[CompatTask]:
        rows = [vf.TaskData(idx=index, prompt=f"task {index}") for index in range(2)]
        return [CompatTask(row, self.config.task) for row in rows]
