"""The bookkeeping of pre-fill batches, without processes."""

from app.workers.batches import MOST_TROUBLES_IN_A_ROW, UNKNOWN_ETA, BatchQueue
from app.workers.payloads import ImageFile


def images(*keys: int) -> list[ImageFile]:
    return [ImageFile(key, f"/photos/{key}.jpg") for key in keys]


def send_all(queue: BatchQueue, first_request: int = 1) -> list[int]:
    """Sends what may be sent; returns the keys in order."""
    keys = []
    while following := queue.next():
        batch, image = following
        queue.sent(batch, first_request + len(keys), image)
        keys.append(image.key)
    return keys


def test_the_engine_holds_what_it_works_on_and_as_much_again() -> None:
    queue = BatchQueue()
    queue.add(images(1, 2, 3, 4, 5, 6, 7), urgent=False)
    assert send_all(queue) == [1, 2]
    assert queue.take(1) is not None
    assert send_all(queue, 3) == [3]
    assert queue.take(99) is None
    queue.set_at_a_time(2)
    assert send_all(queue, 4) == [4, 5]


def test_batches_wait_for_their_turn_urgent_ones_do_not() -> None:
    queue = BatchQueue()
    queue.add(images(1, 2, 3), urgent=False)
    queue.add(images(4), urgent=False)
    queue.add(images(5), urgent=True)
    assert send_all(queue) == [1, 2, 5]


def test_a_paused_batch_lets_the_next_one_go() -> None:
    queue = BatchQueue()
    first = queue.add(images(1, 2), urgent=False)
    queue.add(images(3), urgent=False)
    queue.pause(first, True)
    assert send_all(queue) == [3]
    queue.pause(first, False)
    assert send_all(queue, 10) == [1, 2]


def test_eta_leaves_pauses_out() -> None:
    now = [0.0]
    queue = BatchQueue(lambda: now[0])
    batch = queue.add(images(1, 2, 3, 4), urgent=False)
    assert batch.eta(0.0) == UNKNOWN_ETA
    send_all(queue)
    etas = []
    for request in (1, 2):
        now[0] += 2.0
        queue.pause(batch, True)
        found = queue.take(request)
        assert found
        etas.append(queue.finish_image(*found))
    assert etas == [6.0, 4.0]
    now[0] += 100.0
    queue.pause(batch, False)
    send_all(queue, 3)
    now[0] += 2.0
    found = queue.take(3)
    assert found
    assert queue.finish_image(*found) == 2.0


def test_image_that_kills_the_engine_twice_is_given_up_and_others_go_on_in_order() -> None:
    queue = BatchQueue()
    batch = queue.add(images(1, 2, 3), urgent=False)
    send_all(queue)
    queue.begun(1)
    assert queue.engine_died() == []
    assert [image.key for image in batch.waiting] == [1, 2, 3]
    send_all(queue, 10)
    queue.begun(10)
    assert [image.key for _, image in queue.engine_died()] == [1]
    assert [image.key for image in batch.waiting] == [2, 3]


def test_of_images_done_together_when_the_engine_died_each_is_tried_alone_and_one_is_given_up() -> None:
    queue = BatchQueue()
    queue.set_at_a_time(2)
    batch = queue.add(images(1, 2, 3, 4), urgent=False)
    send_all(queue)
    queue.begun(1)
    queue.begun(2)
    assert queue.engine_died() == [], "nobody knows which of the two it was"
    assert [queue.is_suspect(image) for image in batch.waiting] == [True, True, False, False]
    for request in (10, 20):
        send_all(queue, request)
        if request == 10:
            taken = queue.take(10)
            assert taken and taken[1].key == 1
            queue.finish_image(*taken)
            assert not queue.is_suspect(taken[1])
        queue.begun(11 if request == 10 else 20)
        given_up = queue.engine_died()
    assert [image.key for _, image in given_up] == [2]


def test_an_image_that_the_engine_fails_on_is_tried_again_after_the_others_and_then_left() -> None:
    queue = BatchQueue()
    batch = queue.add(images(1, 2, 3), urgent=False)
    send_all(queue)
    taken = queue.take(1)
    assert taken and batch.engine_failed(taken[1])
    assert [image.key for image in batch.waiting] == [3, 1]
    for request in (2, 3):
        send_all(queue, request + 1)
        taken = queue.take(request)
        assert taken
        batch.succeeded(taken[1])
    taken = queue.take(4)
    assert taken and taken[1].key == 1
    assert not batch.engine_failed(taken[1]), "once more was enough"
    assert batch.finished


def test_a_batch_is_hopeless_after_failures_in_a_row_only() -> None:
    batch = BatchQueue().add((), urgent=False)
    some = images(*range(MOST_TROUBLES_IN_A_ROW))
    for image in some[:-1]:
        batch.engine_failed(image)
    assert not batch.hopeless
    batch.succeeded(some[-1])
    batch.engine_failed(some[-1])
    assert not batch.hopeless
    for image in some[:-1]:
        batch.engine_failed(image)
    assert batch.hopeless


def test_a_death_before_the_image_began_is_not_its_fault() -> None:
    queue = BatchQueue()
    batch = queue.add(images(1), urgent=False)
    for request in range(5):
        send_all(queue, request)
        assert queue.engine_died() == []
    assert [image.key for image in batch.waiting] == [1]


def test_what_is_of_no_batch_does_not_make_an_image_innocent() -> None:
    queue = BatchQueue()
    queue.add(images(1, 2), urgent=False)
    for first in (1, 10):
        send_all(queue, first)
        queue.begun(99)  # an estimate
        queue.begun(first)
        given_up = queue.engine_died()
    assert [image.key for _, image in given_up] == [1]
