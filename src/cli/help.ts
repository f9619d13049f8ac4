import type { Command } from 'commander'
import { SINKS } from '../sinks/registry.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'

/** What --help has behind the options, and a man page, too. */
export interface Section {
  readonly heading: string
  readonly lines: readonly string[]
}

const INDENT = 12

/** What commander prints behind its own help of a program or command. */
export function helpAfter({ command }: { readonly command: Command }): string {
  const sections = sectionsOf(command.name())
  return sections
    .map(({ heading, lines }) => `\n${heading}:\n${lines.map((line) => `  ${line}`).join('\n')}`)
    .join('\n')
}

/** By the name of a program or command; none for most of mirror-sender's. */
export function sectionsOf(name: string): readonly Section[] {
  switch (name) {
    case 'mirror-collector':
      return [sinks(), encapsulations(), KAFKA, ENVIRONMENT, OUTPUT, SIGNALS, EXIT_CODES, COLLECT_EXAMPLES]
    case 'decap':
      return [sinks(), encapsulations(), ENVIRONMENT, SIGNALS, EXIT_CODES, DECAP_EXAMPLES]
    default:
      return OTHERS[name] ?? []
  }
}

function sinks(): Section {
  const rows = SINKS.flatMap(({ type, summary, keys, example }) => [
    `${type.padEnd(INDENT - 2)}${summary}`,
    ...[...keys, `e.g. ${example}`].map((line) => `${' '.repeat(INDENT - 2)}${line}`),
  ])
  return {
    heading: 'Sinks',
    lines: [
      'TYPE[:TARGET][?key=value&key=value], in quotes: shells take ? and & for',
      'themselves. Each may choose its frames by vni=LIST and filter=EXPRESSION, and',
      'has a queue=SIZE (32MiB). When that is full, overflow=drop loses and counts',
      'frames; overflow=block waits, with decap only.',
      '',
      ...rows,
    ],
  }
}

function encapsulations(): Section {
  const rows = ENCAPSULATIONS.map(({ name, udpPorts, ipProtocol, identifier }) => {
    const where = ipProtocol === undefined ? `UDP port ${udpPorts.join(', ')}` : `IP protocol ${ipProtocol}`
    return `${name.padEnd(INDENT)}${where.padEnd(22)}${identifier}`
  })
  return {
    heading: 'Encapsulations, their ports, and what --vni and {vni} mean',
    lines: [...rows, '', 'On another port name it: vxlan://:5000. gre://[HOST] has no port and takes', 'CAP_NET_RAW.'],
  }
}

const KAFKA: Section = {
  heading: 'Reading a Kafka topic back',
  lines: [
    '--listen kafka:HOST:PORT[,HOST:PORT]/TOPIC[?key=value&key=value], alone:',
    'group=NAME              whose place in it is kept (default mirror-collector)',
    'from=earliest | latest  where a new group begins: with the oldest record, or the',
    '                        next that comes (default earliest)',
    'tls, tls-ca, tls-cert, tls-key, sasl, user, password-file, password-env: as of',
    'the sink kafka',
  ],
}

const ENVIRONMENT: Section = {
  heading: 'Environment and configuration',
  lines: [
    '--allow-from is MIRROR_COLLECTOR_ALLOW_FROM, and so on; of --listen and --out',
    'one a line. The command line overrides the environment, and that the file of',
    '--config; none is read unless it is named. config/mirror-collector.yaml of this',
    'package has every key; "mirror-collector check --print" shows the result.',
  ],
}

const OUTPUT: Section = {
  heading: 'Output',
  lines: [
    'Standard error has the log, JSON lines where it is no terminal; its first line',
    'says "listening" when the sockets are open. The counts at the end are plain text.',
    'Standard output has data only.',
  ],
}

const SIGNALS: Section = {
  heading: 'Signals',
  lines: [
    'SIGINT, SIGTERM  take what has arrived, finish every file, end with 0',
    'SIGHUP           finish files and open new ones; read --config again, of which',
    '                 a bad one is refused',
    'SIGUSR1          log the statistics',
  ],
}

const EXIT_CODES: Section = {
  heading: 'Exit codes',
  lines: [
    ' 0  done, also where frames were lost: the report counts them',
    '64  usage',
    '66  no input',
    '69  unavailable, such as a port in use',
    '70  a defect of this program',
    '73  a file or device cannot be made',
    '74  broken input, decap could not write all, or standard output has no room for text',
    '77  not permitted: the message names the capability',
    '78  configuration',
  ],
}

const COLLECT_EXAMPLES: Section = {
  heading: 'Examples',
  lines: [
    'mirror-collector check --out tap:ids0',
    'mirror-collector --vni 100 --allow-from 10.0.0.0/8 --out pcap:a.pcap',
    "mirror-collector --out 'pcapng:/data/{vni}-%Y%m%d-%H.pcapng?rotate=1h&keep=1TiB'",
    'mirror-collector --out pcap:- | wireshark -k -i -',
    "mirror-collector --fix-checksums --out 'tap:ids0?persist=yes' --http 9464",
    'mirror-collector --config /etc/mirror-collector.yaml',
  ],
}

const DECAP_EXAMPLES: Section = {
  heading: 'Examples',
  lines: [
    'mirror-collector decap mirror.pcap --out pcap:inner.pcap',
    'mirror-collector decap mirror.pcap.gz --listen vxlan://:5000 --out pcap:- | tcpdump -nr -',
    "mirror-collector decap mirror.pcap --out 'interface:ids0?pace=original'",
  ],
}

const CHECK: readonly Section[] = [
  {
    heading: 'Exit codes',
    lines: [
      '0 when collecting will work, warnings or not; otherwise what it would end with:',
      'see mirror-collector --help, which has sinks and encapsulations, too.',
    ],
  },
  {
    heading: 'Examples',
    lines: [
      "mirror-collector check --listen geneve://:6081 --out 'pcap:/var/lib/mirror/%H.pcap'",
      'mirror-collector check --config mirror.yaml --json',
      'mirror-collector check --print --config mirror.yaml',
    ],
  },
]

const DEMO: readonly Section[] = [
  {
    heading: 'What it does',
    lines: [
      'As root it makes namespaces, a mirror and traffic, compares what was mirrored',
      'frame by frame, and removes everything again. Elsewhere it plays a capture file.',
    ],
  },
]

const EXTCAP: readonly Section[] = [
  {
    heading: 'In Wireshark',
    lines: [
      'It runs each program in its folder of extcap programs (Help, About, Folders:',
      '"Personal Extcap path"). Put there an executable file with these two lines,',
      'e.g. ~/.local/lib/wireshark/extcap/mirror-collector:',
      '  #!/bin/sh',
      '  exec mirror-collector extcap "$@"',
    ],
  },
]

const SENDER: readonly Section[] = [
  {
    heading: 'Which mirrors',
    lines: [
      '"up" leaves a mirror that is there already as it is. "down" and "status" take',
      'what is not given as any; "down" wants at least --interface, --collector or',
      '--vni, or --all. No mirror to take down is no failure.',
    ],
  },
  {
    heading: 'Files',
    lines: [
      '--config FILE is YAML with the options of "up" as its keys, as is',
      'config/mirror-sender.yaml of this package. As /etc/mirror-collector/NAME.yaml',
      'the unit mirror-sender@NAME.service sets it up when the machine starts.',
    ],
  },
  {
    heading: 'Exit codes',
    lines: [
      '  0  done',
      ' 64  usage',
      ' 66  no configuration file',
      ' 69  it cannot be done here',
      ' 70  a defect of this program',
      ' 77  not permitted: CAP_NET_ADMIN is missing',
      ' 78  configuration',
      '130  interrupted',
    ],
  },
  {
    heading: 'Examples',
    lines: [
      'mirror-sender plan --interface eth0 --collector 10.0.0.2 --vni 100',
      "mirror-sender up --interface eth0 --collector 10.0.0.2 --vni 100 --filter 'not port 22'",
      'mirror-sender up --container web --interface eth0 --collector 10.0.0.2 --vni 101',
      'mirror-sender status --json',
      'mirror-sender down --interface eth0',
    ],
  },
]

const OTHERS: Readonly<Record<string, readonly Section[]>> = {
  check: CHECK,
  demo: DEMO,
  extcap: EXTCAP,
  'mirror-sender': SENDER,
}
