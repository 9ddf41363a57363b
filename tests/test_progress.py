import io
import logging
import time

from affect_tasks import progress


def test_items_pass_unchanged_and_quick_work_shows_nothing(caplog, capsys):
    with caplog.at_level(logging.INFO):
        assert list(progress.track(range(5), "draw", total=5)) == [0, 1, 2, 3, 4]
    assert not caplog.records
    assert capsys.readouterr().err == ""


def test_a_log_gets_lines_with_counts_and_rate(caplog, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.01)
    with caplog.at_level(logging.INFO):
        for _ in progress.track(range(3), "draw", total=3):
            time.sleep(0.02)
    assert [record.message.split(",")[0] for record in caplog.records] == [f"draw: {n} of 3" for n in (1, 2, 3)]


def test_work_may_be_measured_in_something_else_than_items(caplog, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.01)
    read = iter((0, 700))
    with caplog.at_level(logging.INFO):
        for _ in progress.track(range(2), "unpack, MB", total=900, measure=lambda: next(read)):
            time.sleep(0.02)
    assert [record.message.split(",")[1] for record in caplog.records] == [" MB: 0 of 900", " MB: 700 of 900"]


def test_a_terminal_gets_a_bar_that_is_wiped_at_the_end(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_BAR_SECONDS", 0.01)
    for _ in progress.track(range(2), "draw", total=2):
        time.sleep(0.02)
    assert f"[{'#' * 15}{'.' * 15}] draw: 1 of 2" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\033[K")


def test_the_rest_is_estimated():
    assert progress.describe_progress("draw", 500, total=2000, seconds=5.0) == (
        "draw: 500 of 2,000, 100 a second, 15 s left"
    )
