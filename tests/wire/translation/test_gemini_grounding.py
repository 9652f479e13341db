from appliance.domain.chat import Citation
from appliance.wire.translation.gemini_grounding import MOST_KEPT_BYTES, Places, grounding_object


def test_bytes_and_characters_are_told_apart() -> None:
    places = Places()
    for piece in ("Gr", "üße", " 🏡!"):
        places.add(piece)
    assert [places.byte(at) for at in range(9)] == [0, 1, 2, 4, 6, 7, 8, 12, 13]
    assert [places.char(at) for at in (0, 2, 4, 6, 7, 8, 12, 13)] == [0, 2, 3, 4, 5, 6, 7, 8]
    assert (places.bytes, places.chars) == (13, 8)


def test_ascii_needs_no_text_and_a_long_text_is_not_kept() -> None:
    long = Places()
    long.add("a" * (MOST_KEPT_BYTES + 1))
    assert long.char(MOST_KEPT_BYTES) == long.byte(MOST_KEPT_BYTES) == MOST_KEPT_BYTES
    long.add("é")
    assert long.char(5) is None and long.byte(5) is None


def test_a_page_cited_twice_is_one_source() -> None:
    places = Places()
    places.add("abcdef")
    cited = [(Citation("https://e.org", "E", "ab", 0, 2), 0), (Citation("https://e.org", None, "ef", 0, 2), 4)]
    assert grounding_object(cited, places) == {
        "groundingChunks": [{"web": {"uri": "https://e.org", "title": "E"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 2, "text": "ab"}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 4, "endIndex": 6, "text": "ef"}, "groundingChunkIndices": [0]},
        ],
    }
    assert grounding_object([(Citation(quote="of a document"), 0)], places) is None
