import { expect, test } from 'vitest'
import { listener } from '../../src/config/listen.ts'
import { encapsulationNamed } from '../../src/wire/registry.ts'
import { refusal } from './refusal.ts'

const vxlan = encapsulationNamed('vxlan')

test.each<[string, string | undefined, number]>([
  [':4789', undefined, 4789],
  [':8472', undefined, 8472],
  ['10.0.0.2:4789', '10.0.0.2', 4789],
  ['0.0.0.0:8472', '0.0.0.0', 8472],
  ['[2001:db8::2]:4789', '2001:db8::2', 4789],
  ['[::]:4789', '::', 4789],
  ['vxlan://:5000', undefined, 5000],
  ['vxlan://10.0.0.2:5000', '10.0.0.2', 5000],
  ['vxlan://[::1]:65535', '::1', 65_535],
  ['vxlan://127.0.0.1:0', '127.0.0.1', 0],
  ['vxlan://', undefined, 4789],
  ['vxlan://10.0.0.2', '10.0.0.2', 4789],
  ['vxlan://[::1]', '::1', 4789],
])('%s listens on %s, port %d', (text, host, port) => {
  expect(listener.parse(text)).toEqual({ encapsulation: vxlan, host, port })
})

test.each([
  ['gre://', undefined],
  ['gre://10.0.0.2', '10.0.0.2'],
  ['gre://[2001:db8::2]', '2001:db8::2'],
])('%s listens for an IP protocol, which has no port', (text, host) => {
  expect(listener.parse(text)).toEqual({ encapsulation: encapsulationNamed('gre'), host, port: 47 })
  expect(refusal(listener, `${text}:47`).what).toContain('gre is an IP protocol and has no port')
})

test.each([
  ['', '"" names no port'],
  ['10.0.0.2', '"10.0.0.2" names no port'],
  [':', '":" names no port'],
  [':65536', 'port 65536 is above 65535'],
  ['vxlan://:99999', 'port 99999 is above 65535'],
  [':5000', 'port 5000 belongs to no encapsulation by convention, so its name is needed'],
  [':0', 'port 0 belongs to no encapsulation by convention, so its name is needed'],
  ['localhost:4789', '"localhost" is not an IP address'],
  ['10.0.0.256:4789', '"10.0.0.256" is not an IP address'],
  ['[localhost]:4789', '"[localhost]" is not an IP address'],
  ['vxlan://host:4789', '"host" is not an IP address'],
  ['2001:db8::2:4789', 'the IPv6 address 2001:db8::2 needs brackets around it'],
  ['vxlan://::1', '":" is not an IP address'],
  ['vxlan://[::1%lo]:4789', '[::1%lo] has the name of an interface behind it, which only link-local addresses'],
  ['vlan://:4789', '"vlan" is not an encapsulation; there are: vxlan'],
])('"%s" is refused: %s', (text, what) => {
  const said = refusal(listener, text)
  expect(said.what).toContain(what)
  expect(said.mend).toContain('[ENCAP://][HOST]:PORT')
})
