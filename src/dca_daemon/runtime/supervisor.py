"""Runs the daemon's services together: all of them, or none.

A service runs until `stop` is set; one that ends before, or raises, is a fault: the others are asked to
stop, and the fault is raised, so that systemd starts the whole anew from the tables.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

import structlog

from dca_daemon.domain.errors import DcaError

log = structlog.get_logger()

Service = Callable[[], Awaitable[object]]


async def supervise(services: Mapping[str, Service], stop: asyncio.Event, grace_seconds: float) -> None:
    """Runs `services` until `stop` is set or one of them fails.

    They watch `stop` themselves and finish the step at hand; who has not ended `grace_seconds` after it is
    cancelled. Raises the first fault; `DcaError` for a service that ended without one.
    """
    faults: list[Exception] = []

    async def run(name: str, service: Service) -> None:
        log.info("service.started", service=name)
        try:
            await service()
            if not stop.is_set():
                raise DcaError(f"the service {name} ended by itself", code="service-ended")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                log.warning("service.cancelled", service=name)
                raise
            # Nobody cancelled the service itself: something within it was, and was not caught.
            ended = DcaError(f"the service {name} ended by a cancellation within it", code="service-ended")
            _log_fault(name, ended)
            faults.append(ended)
            stop.set()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must stop the others and be raised
            fault = _single(error)
            _log_fault(name, fault)
            faults.append(fault)
            stop.set()
        else:
            log.info("service.stopped", service=name)

    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(run(name, service), name=name) for name, service in services.items()}
        await stop.wait()
        _, late = await asyncio.wait(tasks, timeout=grace_seconds) if tasks else (set(), set())
        for task in late:
            task.cancel()
    if faults:
        raise faults[0]


def _single(error: Exception) -> Exception:
    """The one error within a service's own TaskGroup, so that its sentence is not hidden by the group."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _log_fault(name: str, error: Exception) -> None:
    """A fault of ours has a sentence; anything else needs its traceback."""
    if isinstance(error, DcaError):
        log.error("service.failed", service=name, error=str(error), code=error.code)
    else:
        log.error("service.crashed", service=name, exc_info=error)


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`. A second one has its ordinary effect: it ends the process at once,
    which is as safe as a crash."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal(number: signal.Signals) -> None:
        log.info("daemon.signal", signal=number.name)
        for each in signals:
            loop.remove_signal_handler(each)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
