"""Why the store cannot be opened or a change cannot be made. The rule: messages name files and ids, never secrets."""


class StoreFault(Exception):
    """A condition of the store that an operator can do something about; the message says what."""


class FolderLocked(StoreFault):
    """Another process has the data folder."""


class MissingMasterKey(StoreFault):
    """There is a database but no master key."""


class WrongMasterKey(StoreFault):
    """The master key is not the one that the database was made with."""


class BadMasterKey(StoreFault):
    """What was supplied as the master key is not one."""


class NewerSchema(StoreFault):
    """The database was written by a newer version."""


class NotOurs(StoreFault):
    """The file is a database, but not one of this program."""


class UnusableDatabase(StoreFault):
    """The database file cannot be opened or written: locked, read-only, damaged, or the disk is full or fails."""


class UnknownRow(StoreFault, LookupError):
    """No organisation, key or provider has this id."""


class NameTaken(StoreFault, ValueError):
    """The organisation already has something of this name."""
