"""One dialect said in another, through `domain.chat` and `domain.stream`. The rule: no silent loss.

Each dialect is a `codec.Codec` over files of its own name. What a target cannot say is refused, naming the field, or
dropped where the one table, `drops.DROPS`, says that this is harmless. Everything here is pure.
"""
