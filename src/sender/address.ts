import { isIPv6 } from 'node:net'

/** An IPv4 or IPv6 address as words of 32 bits, in the order in which they are on the wire. */
export function addressWords(address: string): number[] {
  if (!isIPv6(address)) return [address.split('.').reduce((word, part) => word * 256 + Number(part), 0)]
  const [head = '', tail] = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, dottedToGroups).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right]
  return [0, 2, 4, 6].map((i) => Number.parseInt(groups[i]!, 16) * 65_536 + Number.parseInt(groups[i + 1]!, 16))
}

function dottedToGroups(_: string, a: string, b: string, c: string, d: string): string {
  return `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`
}
