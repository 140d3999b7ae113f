"""Times as people say them."""


def time_left(seconds: float | None) -> str:
    """Returns e.g. "about 3 min left"; "time left unknown" for None."""
    if seconds is None:
        return "time left unknown"
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"
