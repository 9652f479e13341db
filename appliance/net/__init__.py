"""Non-blocking sockets on trio: the one stream under both lanes and the upstream pool."""
