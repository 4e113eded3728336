import { readFileSync } from 'node:fs'

const listening = '0A'

/** The addresses on which something listens on the port, as Linux has them: '127.0.0.1', or the hexadecimal of IPv6. */
export function listeningAddresses(port: number): string[] {
  const rows = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'latin1').split('\n').slice(1))
  const found = rows.flatMap((row) => {
    const [, local = '', , state] = row.trim().split(/\s+/)
    const [address = '', localPort = ''] = local.split(':')
    return state === listening && Number.parseInt(localPort, 16) === port ? [readable(address)] : []
  })
  return [...new Set(found)]
}

/** ::1 as the kernel's table has it: four words, each in the byte order of the machine. */
const loopback6 = '00000000000000000000000001000000'

/** IPv4 stands there in the byte order of the machine. */
function readable(hex: string): string {
  if (hex === loopback6) return '::1'
  return hex.length === 8 ? Buffer.from(hex, 'hex').toReversed().join('.') : hex
}
