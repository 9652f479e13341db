"""Where a bug of ours showed. The rule: functions and lines; never its message, which could quote a request."""


def places(bug: BaseException) -> list[str]:
    """The innermost six frames of its way, as `function:line`, outermost first."""
    frames = []
    trace = bug.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-6:]
