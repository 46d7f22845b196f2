"""The work of both responders, in place of something useful."""


def shout(body):
    """Gives the reply's body. What it raises is told to the caller."""
    if not body:
        raise ValueError("nothing to shout")
    return body.decode().upper().encode()
