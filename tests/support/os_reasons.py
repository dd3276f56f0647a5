"""What the operating system says of its errors, which is the C library's wording and not ours."""

import errno
import os

ADDRESS_IN_USE = os.strerror(errno.EADDRINUSE)
CONNECTION_REFUSED = os.strerror(errno.ECONNREFUSED)
FILE_EXISTS = os.strerror(errno.EEXIST)
IS_A_DIRECTORY = os.strerror(errno.EISDIR)
NOT_A_DIRECTORY = os.strerror(errno.ENOTDIR)
NO_SUCH_FILE = os.strerror(errno.ENOENT)
PERMISSION_DENIED = os.strerror(errno.EACCES)
TOO_MANY_OPEN_FILES = os.strerror(errno.EMFILE)
