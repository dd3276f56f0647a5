import io
import os
import threading

from kuma_sd.system.log_writer import MOST_CHARACTERS, LogWriter


def test_lines_come_out_in_order() -> None:
    stream = io.StringIO()
    writer = LogWriter(stream, lambda lost: f"{lost} lost")
    writer.start()
    for number in range(1000):
        writer.write(f"{number}\n")
    writer.drain(10)
    assert stream.getvalue() == "".join(f"{number}\n" for number in range(1000))


def test_whoever_logs_waits_for_no_reader_and_what_is_lost_is_counted() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    writer = LogWriter(stream, lambda lost: f"{lost} lost\n")
    writer.start()
    line = "x" * 1023 + "\n"
    lines = 2 * MOST_CHARACTERS // len(line)
    for _ in range(lines):
        writer.write(line)
    read: list[str] = []

    def follow() -> None:
        with os.fdopen(reading) as pipe:
            read.extend(pipe)

    follower = threading.Thread(target=follow)
    follower.start()
    writer.drain(10)
    stream.close()
    follower.join(10)
    lost = [int(text.split()[0]) for text in read if text.endswith(" lost\n")]
    assert lost, "the loss is reported"
    assert read.count(line) + sum(lost) == lines


def test_a_reader_that_is_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        writer = LogWriter(stream, lambda lost: f"{lost} lost")
        writer.start()
        writer.write("to nobody\n")
        writer.drain(10)
        writer.write("to nobody\n")
        writer.drain(10)
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
