// Starts the emulator on 127.0.0.1 at the port given, says so, and ends when standard input does:
// a test that is killed leaves no server behind.
const TelegramServer = require('telegram-test-api');

const port = Number(process.argv[2]);
const server = new TelegramServer({ port, host: '127.0.0.1', storeTimeout: 3600 });

process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
server.start().then(
  () => console.log('listening'),
  (error) => {
    console.error(String(error));
    process.exit(1);
  },
);
