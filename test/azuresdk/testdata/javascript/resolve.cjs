// Resolves the names that the emulator serves to the loopback address, as lines in /etc/hosts do.
const dns = require('node:dns');

const served = /\.(localhost|azure\.net|microsoftonline\.com)$/;
const lookup = dns.lookup;

dns.lookup = (name, options, callback) => {
  if (typeof options === 'function') [options, callback] = [{}, options];
  if (!served.test(name)) return lookup(name, options, callback);
  if (options.all) return callback(null, [{ address: '127.0.0.1', family: 4 }]);
  return callback(null, '127.0.0.1', 4);
};
