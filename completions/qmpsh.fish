complete -c qmpsh -s c -l connect -d 'Connect to ADDRESS; all remaining words are the command' -r
complete -c qmpsh -l listen -d 'Listen at ADDRESS (the path of a Unix socket, or HOST:PORT) and wait for QEMU to connect; all remaining words are the command' -r
complete -c qmpsh -s e -l execute -d 'Run LINE, then exit; can be repeated' -r
complete -c qmpsh -s f -l file -d 'Run the script at PATH; `-` is standard input' -r -F
complete -c qmpsh -l serve -d 'Serve the VM to others at ADDRESS, the path of a Unix socket or fd:N (an inherited, listening socket); can be repeated' -r
complete -c qmpsh -l policy -d 'What the clients of --serve may do: `read-only`, or what the policy in FILE allows [default: everything]' -r
complete -c qmpsh -s t -l timeout -d 'How long to wait for each reply [default: no limit]' -r
complete -c qmpsh -l connect-timeout -d 'How long to wait for the connection and QEMU\'s greeting [default: 10 in scripts, no limit at the prompt]' -r
complete -c qmpsh -l var -d 'Set the variable NAME, so that $NAME in a line is VALUE whatever its characters; can be repeated' -r
complete -c qmpsh -s o -l output -d 'How to print values' -r -f -a "auto\t'`pretty` on a terminal, `json` elsewhere'
pretty\t'JSON, indented'
json\t'JSON, a value a line'
table\t'Lists of objects as tables, other values as with `auto`'
raw\t'Strings without quotes, other values as JSON'"
complete -c qmpsh -l schema -d 'Take the types of bare words from the schema in PATH, a saved reply to query-qmp-schema' -r -F
complete -c qmpsh -s l -l log -l logfile -d 'Append each message sent and received to PATH, as JSON lines with `time`, `dir`, `conn` (the number of the connection), `fds` (how many file descriptors went along, if any) and `msg`' -r -F
complete -c qmpsh -l events -d 'Where to print events while a script runs, as JSON lines' -r -f -a "none\t''
stderr\t''
stdout\t''"
complete -c qmpsh -l repeat -d 'Run the command N times; 0 repeats it until interrupted' -r
complete -c qmpsh -l interval -d 'With --repeat, start a run every SECS seconds' -r
complete -c qmpsh -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c qmpsh -l tls-creds -d 'Use TLS for TCP connections, with the credentials in DIR' -r -F
complete -c qmpsh -l tls-hostname -d 'Expect the server\'s certificate to be for NAME instead of the address\'s host' -r
complete -c qmpsh -l dialect -d 'What the other end speaks [default: qmp]' -r -f -a "qmp\t''
hmp\t''"
complete -c qmpsh -l reconnect -d 'Retry a connection that fails or ends, for at most SECS [default: only at the prompt, with no limit]' -r
complete -c qmpsh -l monitor -d 'Where to put QEMU\'s monitor: the path of a Unix socket or HOST:PORT, which other clients can use too, or `none` [default: a private socket]' -r
complete -c qmpsh -l wrapper -d 'Run QEMU under COMMAND, for example `strace -f`; it is split at whitespace' -r
complete -c qmpsh -l add-fd -d 'Pass the inherited descriptor N[,set=M][,opaque=TEXT] to QEMU, as with -add-fd; M defaults to N; can be repeated' -r
complete -c qmpsh -l name -d 'Name of the VM and of its log files' -r
complete -c qmpsh -l console -d 'Give the guest a console, which is logged; `:console` attaches to it. DEVICE is `virtconsole`, `isa-serial` or another device with a chardev [default: the first serial port]' -r
complete -c qmpsh -l console-log-limit -d 'Size at which the console\'s log is renamed to LOG.1 and a new one started: 512K, 64M, 2G, or 0 for no limit [default: 64M]' -r
complete -c qmpsh -l log-dir -d 'Keep the logs of QEMU\'s output and of the console in DIR [default: deleted on exit]' -r -F
complete -c qmpsh -l temp-dir -d 'Create the directory for temporary files in DIR; it is removed on exit' -r -F
complete -c qmpsh -l shutdown-timeout -d 'How long QEMU may take to shut down before it is killed [default: 30]' -r
complete -c qmpsh -l launch -d 'Start QEMU (`-- QEMU ARG...`), and stop it on exit; the words before `--` are the command'
complete -c qmpsh -l list -d 'List the QEMUs running on this machine, with their pids, names, QMP sockets and whether a client is connected'
complete -c qmpsh -s k -l keep-going -d 'Continue a script after an error, and keep up to 8 commands in flight'
complete -c qmpsh -s q -l quiet -d 'Do not print empty values, {}'
complete -c qmpsh -s p -l pretty -d 'Same as -o pretty'
complete -c qmpsh -l envelope -d 'Print whole replies, {"return": …} or {"error": …}, instead of just the value'
complete -c qmpsh -s n -l dry-run -d 'Print the JSON that would be sent, without connecting'
complete -c qmpsh -s v -l verbose -d 'Print each message sent and received to standard error'
complete -c qmpsh -l no-history -d 'Do not read or write the history file'
complete -c qmpsh -s H -l hmp -d 'Speak to the human monitor (HMP): through QMP, or on a socket of its own'
complete -c qmpsh -l no-oob -d 'Do not negotiate out-of-band execution'
complete -c qmpsh -l no-reconnect -d 'Do not reconnect'
complete -c qmpsh -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qmpsh -s V -l version -d 'Print version'
