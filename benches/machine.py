"""How busy the machine was with something else while a part ran."""

import os
import resource
import time
from pathlib import Path

# Share of all CPUs above which the results may be wrong.
BUSY = 0.05


class Load:
    """Watches the CPUs from its creation on."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.used, self.stolen = cpu_seconds()
        self.own = own_seconds()

    def note(self) -> str:
        """A warning for people if other programs, or other virtual machines, used the CPUs; otherwise nothing."""
        seconds = (time.monotonic() - self.start) * (os.cpu_count() or 1)
        used, stolen = cpu_seconds()
        shares = {
            "other programs used": (used - self.used - (own_seconds() - self.own)) / seconds,
            "other virtual machines took": (stolen - self.stolen) / seconds,
        }
        busy = [f"{who} {share:.0%}" for who, share in shares.items() if share > BUSY]
        return f"The machine was busy: {' and '.join(busy)} of the CPUs." if busy else ""


def cpu_seconds() -> tuple[float, float]:
    """Seconds of all CPUs that programs used, and that were stolen."""
    values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (value / os.sysconf("SC_CLK_TCK") for value in values)
    return user + nice + system + irq + softirq, steal


def own_seconds() -> float:
    """Seconds that this program used, and those of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
