"""Timer loops in Python programs."""

import textwrap

import pytest

from hookline.model.errors import BadData
from hookline.schedule.scan.python import scan

HEAD = "import time, asyncio, threading\nfrom datetime import timedelta\n"


def found(text, *, head=HEAD):
    return scan("some_daemon.py", (head + textwrap.dedent(text)).encode())


def intervals(text):
    return [each.interval_s for each in found(text)]


@pytest.mark.parametrize(
    ("text", "span_s"),
    [
        ("while True:\n    time.sleep(30)\n", 30.0),
        ("while running:\n    work()\n    time.sleep(60 * 5)\n", 300.0),
        ("from time import sleep as nap\nwhile True:\n    nap(2.5)\n", 2.5),
        ("import time as t\nwhile True:\n    t.sleep(1)\n", 1.0),
        ("async def main():\n    while True:\n        await asyncio.sleep(10)\n", 10.0),
        ("stop = threading.Event()\nwhile not stop.wait(15):\n    work()\n", 15.0),
        ("pulse = threading.Event()\nwhile not pulse.wait(timeout=15):\n    work()\n", 15.0),
        ("while True:\n    self.stop.wait(INTERVAL)\nINTERVAL = 7\n", 7.0),
        ("async def f(end):\n while True:\n  await asyncio.wait_for(end.wait(), 20)\n", 20.0),
        ("WAIT = timedelta(minutes=2)\nwhile True:\n    time.sleep(WAIT.total_seconds())\n", 120.0),
        ("import os\nN = int(os.getenv('N', '45'))\nwhile True:\n    time.sleep(N)\n", 45.0),
        ("while True:\n    work()\n    for _ in range(60):\n        time.sleep(1)\n", 60.0),
        ("C = {'a': {'b': 3}}\nwhile True:\n    time.sleep(C['a']['b'])\n", 3.0),
        ("C = {}\nwhile True:\n    time.sleep(C.get('b', 4))\n", 4.0),
        ("p.add_argument('--a-s', default=9)\nwhile True:\n    time.sleep(args.a_s)\n", 9.0),
        ("while True:\n    time.sleep(delay())\n", None),
        ("delay = 1\nwhile True:\n    time.sleep(delay)\n    delay *= 2\n", None),
        ("def run(delay):\n    while True:\n        time.sleep(delay)\n", None),
        ("def run(delay=6):\n    while True:\n        time.sleep(delay)\n", 6.0),
        ("def tick():\n    time.sleep(8)\nwhile True:\n    tick()\n", 8.0),
    ],
)
def test_a_while_around_a_pause_is_found_with_its_interval(text, span_s):
    assert intervals(text) == [span_s]


def test_an_attribute_is_looked_up_in_its_class_and_the_classes_that_it_is_made_of():
    text = """
    class Base:
        interval = 11
        def run(self):
            while True:
                time.sleep(self.interval)
    class Quick(Base):
        pause = 3
        def beat(self):
            while True:
                time.sleep(self.pause + self.interval)
    """
    assert intervals(text) == [11.0, 14.0]


def test_an_attribute_that_is_set_anew_is_variable():
    text = """
    class A:
        def __init__(self):
            self.interval = 5
        def on_message(self, message):
            self.interval = message["interval"]
        def run(self):
            while True:
                time.sleep(self.interval)
    """
    assert intervals(text) == [None]


@pytest.mark.parametrize(
    "check",
    [
        "if now - self.last >= self.interval:",
        "if time.time() - self.last > self.interval:",
        "if self.interval <= now - self.last:",
        "if self.ready and now - self.last >= self.interval:",
        "if (now - self.last).total_seconds() >= self.interval:",
        "if now >= self.next_run:",
    ],
)
def test_a_look_at_the_clock_is_the_interval_and_the_pause_is_not(check):
    text = f"""
    class A:
        def __init__(self, interval=300):
            self.interval = interval
        def run(self):
            while True:
                now = time.time()
                {check}
                    self.work()
                    self.last = now
                    self.next_run = now + self.interval
                time.sleep(1)
    """
    (loop,) = found(text)
    assert loop.interval_s == 300.0
    assert loop.line == 10
    assert loop.pattern.startswith("if ")


def test_what_is_too_early_goes_on_and_is_the_interval_too():
    text = """
    while True:
        now = time.monotonic()
        if now - last < 90:
            time.sleep(1)
            continue
        work()
        last = now
    """
    assert intervals(text) == [90.0]


def test_a_deadline_is_no_interval():
    text = """
    start = time.monotonic()
    while not ready():
        if time.monotonic() - start > 30:
            raise TimeoutError
        time.sleep(0.1)
    """
    assert intervals(text) == [0.1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("import schedule\nschedule.every(10).minutes.do(work)\n", "10m"),
        ("import schedule\nschedule.every().day.at('10:30').do(work)\n", "1d at 10:30"),
        ("import schedule\nschedule.every().monday.do(work)\n", "every monday"),
        ("s.add_job(work, 'interval', hours=1, minutes=30)\n", "90m"),
        ("s.add_job(work, IntervalTrigger(seconds=20))\n", "20s"),
        ("s.add_job(work, trigger='cron', hour=3, minute=15)\n", "cron hour=3 minute=15"),
        ("s.add_job(work, CronTrigger.from_crontab('0 3 * * *'))\n", "cron 0 3 * * *"),
        ("@s.scheduled_job('interval', minutes=2)\ndef work():\n    pass\n", "2m"),
        ("@tasks.loop(seconds=4)\nasync def work():\n    pass\n", "4s"),
        ("@repeat_every(seconds=60)\ndef work():\n    pass\n", "1m"),
    ],
)
def test_the_jobs_of_a_scheduler_are_found(text, shown):
    assert [each.interval for each in found(text)] == [shown]


def test_the_loop_that_drives_jobs_is_none_of_its_own():
    text = """
    import schedule
    schedule.every(5).seconds.do(work)
    while True:
        schedule.run_pending()
        time.sleep(1)
    """
    assert intervals(text) == [5.0]


@pytest.mark.parametrize(
    "text",
    [
        "def work():\n    threading.Timer(30, work).start()\n",
        "def again():\n    threading.Timer(30, work).start()\ndef work():\n    again()\n",
        "def work():\n    loop.call_later(30, work)\n",
        "def work(s):\n    s.enter(30, 1, work)\n",
    ],
)
def test_a_timer_that_is_set_anew_is_found(text):
    assert intervals(text) == [30.0]


@pytest.mark.parametrize(
    "text",
    [
        "threading.Timer(30, work).start()\n",
        "while line:\n    line = read()\n",
        "for each in range(3):\n    time.sleep(1)\n",
        "text = 'while True: time.sleep(5)'\n",
        "while True:\n    def later():\n        time.sleep(5)\n    queue.get()\n",
        "while process.poll() is None:\n    process.wait(5)\n",
    ],
)
def test_what_is_no_timer_loop_is_not_listed(text):
    assert intervals(text) == []


BUS = """
from hookline import Log
log = Log()
"""


@pytest.mark.parametrize(
    ("text", "bus"),
    [
        ("while True:\n    log.append('a.b', source='x')\n    time.sleep(1)\n", "yes"),
        ("def f():\n    bus.emit('a.b')\nwhile True:\n    f()\n    time.sleep(1)\n", "yes"),
        ("while True:\n    run(['event-logger.sh', '--emit'])\n    time.sleep(1)\n", "yes"),
        ("sub = bus.subscribe('a')\nwhile True:\n    time.sleep(1)\n", "yes"),
        ("sub = bus.subscribe('a')\nwhile True:\n    work()\n    time.sleep(1)\n", "partial"),
        ("while True:\n    names.remove('x')\n    time.sleep(1)\n", "partial"),
    ],
)  # fmt: skip
def test_whether_the_bus_sees_what_a_loop_does(text, bus):
    (loop,) = found(BUS + text)
    assert loop.bus == bus


def test_a_list_that_is_appended_to_is_no_bus():
    (loop,) = found("while True:\n    names.append('x')\n    time.sleep(1)\n")
    assert loop.bus == "none"


def test_the_purpose_is_that_of_the_program_or_with_several_loops_that_of_the_function():
    one = '"""Scans all. Slowly."""\nimport time\nwhile True:\n    time.sleep(1)\n'
    assert found(one, head="")[0].purpose == "Scans all"
    two = (
        one + 'def beat():\n    """Tell that it lives."""\n    while True:\n        time.sleep(2)\n'
    )
    assert [each.purpose for each in found(two, head="")] == ["Scans all", "Tell that it lives"]
    bare = "import time\n# Look for mail.\nwhile True:\n    time.sleep(1)\n"
    assert found(bare, head="")[0].purpose == "Look for mail"


@pytest.mark.parametrize(
    "data",
    [
        b"while True\n",
        b"\xff\xfe",
        b"x = '\0'\n",
        b"(" * 5000,
        b"x = " + b"-" * 100_000 + b"1\n",
        b"x = " + b".a" * 3 + b"\n",
        b"a" + b".b" * 50_000 + b"\nwhile 1:\n  time.sleep(" + b"1+" * 30_000 + b"1)\n",
    ],
)
def test_what_is_no_python_is_said_so_and_harms_nobody(data):
    with pytest.raises(BadData, match=r"some\.py"):
        scan("some.py", data)


def test_a_program_is_not_run(tmp_path):
    marker = tmp_path / "marker"
    text = f"open({str(marker)!r}, 'w')\nwhile True:\n    time.sleep(9 ** 9 ** 9)\n"
    assert intervals(text) == [None]
    assert not marker.exists()


def test_a_name_that_stands_for_itself_ends():
    assert intervals("a = b\nb = a\nwhile True:\n    time.sleep(a)\n") == [None]


def test_names_that_stand_for_each_other_are_looked_up_once():
    text = "".join(f"a = b{n} + b{n}\nb{n} = a + a\nb{n} = a\n" for n in range(200))
    assert intervals(f"{text}while True:\n    time.sleep(a)\n") == [None]
