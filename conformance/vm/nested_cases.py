"""What the nested level judges unless the whole suite is asked for, by section of the contract: ids without their transport. The
twins of refusals are among them, or the refusals would not count."""

_NAMED = {
    1: """
        FRAME-TYPES/json:ping:whole FRAME-TYPES/unknown:request:whole FRAME-SEGMENT/bytewise:bytewise FRAME-CAP/closed:1:whole
        FRAME-CHUNK/nonempty FRAME-EOF-EMPTY/received:whole FRAME-TRUNC/upload:half-close
    """,
    2: """
        JSON-PROFILE/accept:once:whole JSON-PROFILE/accept:strings:whole JSON-PROFILE/accept:utf-8:whole
        JSON-DUP/plain:names:whole JSON-NUL/escaped:places:whole JSON-CASE:both:whole JSON-CASE:required:whole
        JSON-OUT/shape:quotes
    """,
    3: """
        CONV-ONE/single:ping:whole CONV-ONE/single:run:whole CONV-ONE/single:download CONV-HALFCLOSE/ping
        CONV-HALFCLOSE/run:later CONV-HALFCLOSE/get:bytes CONV-HALFCLOSE/put:bytes CONV-HALFCLOSE/error:op CONV-LINGER/end
        CONV-LINGER/timeout CONV-LINGER/flood:ping ERR-CODE/not_found ERR-CODE/malformed
    """,
    4: """
        PING RUN-EXIT/status RUN-EXIT/signal:some RUN-SHELL/raw:row RUN-CHILD/session RUN-TIMEOUT/killed:group
        RUN-TIMEOUT/killed:not-early RUN-TIMEOUT/prompt RUN-TIMEOUT/none RUN-TIMEOUT/type:true:whole RUN-HANGUP/silent:sleeping
        RUN-HANGUP/halfclose:silent RUN-HANGUP/group:plain RUN-HANGUP/noisy:trickle PUT-OK/content:1 PUT-OK/content:65537
        PUT-CLEAN/gone:close-frame PUT-CLEAN/gone:half-close-frame PUT-CLEAN/short:file PUT-CLEAN/bad-target:enoent
        GET-EXACT/proc:filesystems GET-ERRORS/denied:root
    """,
    5: """
        SRV-SURVIVE/alive:closed SRV-SURVIVE/alive:half-closed SRV-SURVIVE/alive:reset SRV-SURVIVE/cut:ping SRV-PEER/vsock-host
        SRV-PEER/vsock-guest:nobody SRV-PEER/vsock-guest:root SRV-PEER/vsock-guest:low-port SRV-PEER/allow:one
    """,
}
BY_SECTION = {section: tuple(names.split()) for section, names in _NAMED.items()}
CASES = tuple(case for cases in BY_SECTION.values() for case in cases)
