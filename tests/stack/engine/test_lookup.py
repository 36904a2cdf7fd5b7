from evalharness.stack.engine.lookup import PromptLookup


def test_what_followed_the_last_like_place_is_guessed():
    text = PromptLookup([1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 1, 2, 3])
    assert text.guess(3) == [6, 7, 1]
    text.push(4)
    assert text.guess(2) == [5, 1]
    assert text.guess(0) == []


def test_two_tokens_do_where_three_do_not_match():
    assert PromptLookup([9, 2, 3, 4, 8, 2, 3]).guess(1) == [4]
    assert PromptLookup([9, 2, 3, 4, 8, 7, 3]).guess(1) == []
    assert PromptLookup([]).guess(4) == []


def test_a_circle_is_guessed_on():
    assert PromptLookup([5, 5, 5]).guess(4) == [5, 5, 5, 5]
    assert PromptLookup([1, 2, 3, 1, 2, 3, 1]).guess(7) == [2, 3, 1, 2, 3, 1, 2]
