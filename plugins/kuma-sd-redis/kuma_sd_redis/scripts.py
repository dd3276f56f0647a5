"""Lua scripts that Redis runs atomically: each changes one bucket or the lease, or nothing."""

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Script:
    """A Lua script with its text and its hash in Redis."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


# Format, token and leader come first in the head of every format, so that older publishers can check newer heads.
_REFUSE_THE_STALE = """
local head = redis.call('GET', KEYS[1])
local format, token, leader, position
if head then
    format, token, leader, position = string.match(head, '^(%S+) (%d+) (%S+) (.*)$')
    token = tonumber(token)
    if token and (token > tonumber(ARGV[1]) or (token == tonumber(ARGV[1]) and leader ~= ARGV[2])) then
        return {'stale', head}
    end
end
"""

CLAIM = Script(
    _REFUSE_THE_STALE
    + """
if token and (token ~= tonumber(ARGV[1]) or leader ~= ARGV[2]) then
    head = format .. ' ' .. ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. position
    redis.call('SET', KEYS[1], head)
end
return {'done', head or ''}
"""
)
"""Put a token into a bucket's head, so that publishers with an older one cannot write any more, and return the head.

Keys: head. Arguments: token, leader.
"""

WHOLE = "*"
"""Expected position when a bucket is replaced whole: any."""

APPLY = Script(
    _REFUSE_THE_STALE
    + """
local whole = ARGV[3] == '*'
if not whole and (position or '') ~= ARGV[3] then
    return {'differs', head or ''}
end
if whole then
    redis.call('DEL', KEYS[2], KEYS[3])
else
    redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[6], ARGV[5] .. '-0', 'entry', ARGV[7])
end
-- Lua's stack has room for some thousand values.
local function each(command, from, to)
    for first = from, to, 1000 do
        redis.call(command, KEYS[2], unpack(ARGV, first, math.min(first + 999, to)))
    end
end
local removed = tonumber(ARGV[11])
each('HDEL', 12, 11 + removed)
each('HSET', 12 + removed, #ARGV)
redis.call('SET', KEYS[1], ARGV[4])
redis.call(ARGV[9], ARGV[10], ARGV[8])
return {'done', ARGV[4]}
"""
)
"""Move a bucket, with all its data, from one position to another, or refuse.

Keys: head, groups, log. Arguments: token, leader, the expected position (WHOLE for any), the new head, the new
revision, the most entries in the log, the entry for the log, what is sent to those who follow, the command to send it
with, the channel, the number of keys to remove, these, and then keys and lines in turn.
"""

LEASE = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return {0, holder, redis.call('PTTL', KEYS[1])}
end
if holder and tonumber(ARGV[3]) > tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {tonumber(ARGV[3]), holder, tonumber(ARGV[2])}
end
local token = redis.call('INCR', KEYS[2])
if token <= tonumber(ARGV[4]) then
    token = tonumber(ARGV[4]) + 1
    redis.call('SET', KEYS[2], token)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {token, ARGV[1], tonumber(ARGV[2])}
""")
"""Take the lease, renew it, or return its holder.

Keys: lease, token. Arguments: who asks, for how many milliseconds, the token that they have (0 if none), and a token
that theirs must be greater than. Returns the token (0 if another publisher has
the lease), the holder, and the milliseconds that are left.
"""

RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
""")
"""Give the lease back. Keys: lease. Arguments: who has it."""
