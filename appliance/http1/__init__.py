"""HTTP/1.1 without I/O: bytes in, heads and bodies out, and the other way round.

The rule: httptools (llhttp) parses *heads only*, in both directions. It has no pause, no offset and no limits: one
`feed_data` runs through every pipelined message, an upgrade makes it skip the body, and a head or a chunk extension
of any size is swallowed. So the end of a head is found here, limits are applied first, llhttp is given exactly the
bytes of that head and a parser that is thrown away afterwards, and bodies are framed by our own strict code
(`framing`, `chunked`), the same for requests and responses.

    limits                  how much of anything is accepted
    refusal                 what is raised, and its stable codes
    buffer                  unread bytes and the linear search for the end of a head
    head                    the header table: llhttp called safely, header values, connection options
    framing                 how long is the body: content-length, transfer-encoding
    chunked                 the chunked coding
    request_line, request   the server's side: RequestReader
    response                the client's side: ResponseReader
    write                   heads and chunks to bytes, the one place where header values are checked
"""
