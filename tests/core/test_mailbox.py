import threading

import pytest

from kuma_sd.core.mailbox import Mailbox


def test_two_senders_before_one_take_are_both_seen() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put("east", 1)
    mailbox.put("west", 2)
    assert mailbox.take(0) == {"east": 1, "west": 2}
    assert mailbox.take(0) == {}


def test_the_newest_of_a_sender_wins_and_the_superseded_are_counted() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for number in range(5):
        mailbox.put("east", number)
    assert mailbox.take(0) == {"east": 4}
    assert mailbox.superseded == 4


def test_taking_waits_until_something_comes() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[dict[str, int]] = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()
    mailbox.put("east", 1)
    reader.join(10)
    assert taken == [{"east": 1}]


def test_closing_wakes_a_waiting_reader_with_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[dict[str, int]] = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()
    mailbox.close()
    reader.join(10)
    assert taken == [{}]
    mailbox.put("east", 1)
    assert mailbox.take() == {}


def test_items_are_taken_in_the_order_in_which_the_newest_of_each_sender_came() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for sender, item in [("a", 1), (("a",), 2), ("a", 3)]:
        mailbox.put(sender, item)
    assert list(mailbox.take().values()) == [2, 3]


def test_readers_raise_the_error_with_which_it_was_closed() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put("a", 1)
    mailbox.close(ValueError("no more"))
    mailbox.close()
    for _ in range(2):
        with pytest.raises(ValueError, match="no more"):
            mailbox.take(1)
