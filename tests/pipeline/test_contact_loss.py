from kuma_sd.pipeline.contact_loss import Contact


def test_a_contact_never_begins_before_the_last_one_ended() -> None:
    contact = Contact()
    assert contact.began(1.0) == 1.0
    contact.broke(10.0, was_ended=False)
    assert contact.failed() == 10.0
    assert contact.failed() is None
    assert contact.began(4.0) == 10.0


def test_a_stream_that_is_ended_again_and_again_is_one_contact() -> None:
    contact = Contact()
    assert contact.began(1.0) == 1.0
    for number in range(10, 20):
        contact.broke(float(number), was_ended=True)
        assert contact.began(number + 0.9) == 1.0


def test_a_control_plane_that_ended_its_stream_and_is_away_for_longer_is_in_a_new_contact() -> None:
    contact = Contact()
    assert contact.began(1.0) == 1.0
    contact.broke(10.0, was_ended=True)
    assert contact.began(12.0) == 12.0


def test_a_connection_that_failed_is_remembered_although_it_was_back_at_once() -> None:
    contact = Contact()
    assert contact.unbroken_since == 0.0
    assert (contact.began(1.0), contact.unbroken_since) == (1.0, 1.0)
    contact.broke(10.0, was_ended=True)
    assert (contact.began(10.5), contact.unbroken_since) == (1.0, 1.0)
    contact.broke(20.0, was_ended=False)
    assert (contact.began(20.5), contact.unbroken_since) == (1.0, 20.5)


def test_a_connection_that_broke_and_is_away_for_longer_than_one_back_off_begins_a_new_contact() -> None:
    contact = Contact()
    assert contact.began(1.0) == 1.0
    contact.broke(10.0, was_ended=False)
    assert contact.began(10.9) == 1.0
    contact.broke(20.0, was_ended=False)
    assert contact.began(22.0) == 22.0
    assert contact.began(22.0) == 22.0


def test_a_control_plane_that_refused_one_protocol_and_answered_over_another_is_in_a_new_contact() -> None:
    contact = Contact()
    assert contact.began(1.0, "v1 gRPC") == 1.0
    contact.broke(10.0, was_ended=False)
    assert contact.began(10.5, "v1 HTTP") == 10.5
    contact.broke(20.0, was_ended=False)
    assert contact.began(20.5, "v1 HTTP") == 10.5


def test_another_replica_is_in_a_new_contact_however_fast_it_answers() -> None:
    contact = Contact()
    assert contact.began(1.0, "v1 gRPC", "a:5676") == 1.0
    contact.broke(10.0, was_ended=True)
    assert contact.began(10.1, "v1 gRPC", "b:5676") == 10.1
    contact.broke(20.0, was_ended=True)
    assert contact.began(20.1, "v1 gRPC", "b:5676") == 10.1
